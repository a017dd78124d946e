"""What a layer is: a forward and a backward that fit together, and what both promise.

::

    y, cache = forward(x, W, b)
    dx, dW, db = backward(dy, *cache)

``backward`` takes the upstream gradient dy = ∂L/∂y, which has the shape of y, and what ``forward``
kept in the cache. It returns one gradient for each array that ``forward`` takes, of the same shape
and in the same order; a single gradient is returned by itself, not in a tuple. Constants have no
gradient: masks and running statistics (`Constant`), labels (`Labels`), and numbers such as eps. A
variant is a pair, too: ``backward_evaluation`` belongs to ``forward_evaluation``.

This is all that the checks of this library ask of a layer; they also take other ways to write one
(see `backprop_lib.conventions` and `backprop_lib.models`). The layers, ops and faster forms of the
library itself promise more, all of them the same, so their docstrings do not repeat it:

- The shapes are in the signature, and every call is checked against them (see
  `backprop_lib.shapes`). A size that occurs twice must be the same size twice, and an axis with a
  star stands for any number of axes.
- No argument is changed, and results are new arrays. A y of shape (), such as a loss, may be a
  NumPy scalar such as ``np.float64``, which is not an array.
- The cache may hold the arrays of the call, y, and intermediates. None of these is a copy:
  do not change any of them in place before ``backward``.
- Results have the dtype of the inputs: float32 stays float32. If the arguments of ``forward``
  and dy have several dtypes, y has the widest of those of ``forward``, and a gradient has one of
  all, but not always the widest.
- Arrays may have any layout in memory: slices, transposes and read-only arrays will do.
- An empty batch (N = 0) has an empty y, and zeros as gradients of the weights. A ``forward`` that
  takes a mean, a sum or a maximum over the batch refuses it.
- NaN and infinity propagate as the formulas say. NaN in an argument of ``forward`` reaches every
  entry of y that depends on it, and NaN in dy every entry of a gradient that depends on it. Some
  faster forms treat products of 0 with NaN or infinity differently: see `backprop_lib.fast`.
- Wrong arguments are refused in one line that names the argument, with

  - `ShapeError` if the number of axes or a size is not that of the signature;
  - ``TypeError`` if an argument is not an array of floats (of integers if it holds labels), or is
    of another type than the signature says;
  - ``ValueError`` if a number is out of bounds, or a label names no place.

  A docstring lists what a layer refuses beyond that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter, getattr_static
from typing import Any

import numpy as np

from backprop_lib.conventions import (
    After,
    by_name,
    called,
    parameters_of,
    returned_backward,
    with_cache,
)
from backprop_lib.draws import Draws
from backprop_lib.models import Kept, Model

FORWARD_NAMES = ("forward", "__call__")
CHANGES_DY = ("backward", "dy")


@dataclass(frozen=True)
class Layer:
    """A forward and its backward, whose promises are checked whenever they run."""

    forward: Callable[..., Any]
    backward: Callable[..., Any] | None
    """None where only forward is asked for."""
    model: Model | None = None
    """The object whose methods they are, if it keeps what backward needs."""
    named: tuple[str, ...] = ()
    """What the caller gives by name; attributes of the object can be among it."""
    may_change_dy: bool = False

    @classmethod
    def of(
        cls,
        layer: Any,
        backward: Callable[..., Any] | None = None,
        *,
        named: Iterable[str] = (),
        params: Mapping[str, str] | None = None,
        grads: Mapping[str, str] | None = None,
        may_change_dy: bool = False,
    ) -> "Layer":
        """Take two functions, a module or an object that has them, a class, or forward alone.

        Parameters
        ----------
        layer, backward
            As in `backprop_lib.conventions`. A forward alone must return y and its backward.
        named : names
            What will be given: arguments of forward, of the class, or attributes.
        params, grads : dict, optional
            Where an object keeps a parameter and its gradient, such as ``{"W": "params[0]"}``.
        may_change_dy : bool
            Whether backward may write into dy.

        Raises
        ------
        TypeError
            If ``layer`` is nothing of the kind.
        """
        named = tuple(dict.fromkeys([*(params or {}), *(grads or {}), *named]))
        both = _methods(layer, backward)
        if both is not None:
            model = Model(*_made(*both), params or {}, grads or {})
            forward, backward = (model.method(name) for name in both[1:])
            return cls(forward, backward, model, named, may_change_dy)
        forward = layer
        if backward is None:
            own = getattr(layer, "forward", None)
            if callable(own):
                forward, backward = own, getattr(layer, "backward", returned_backward)
                if _methods(forward, backward) is not None:
                    return cls.of(
                        forward,
                        backward,
                        named=named,
                        params=params,
                        grads=grads,
                        may_change_dy=may_change_dy,
                    )
            elif callable(layer) and not isinstance(layer, type):
                backward = returned_backward
        for keyword, places in (("params", params), ("grads", grads)):
            if places:
                raise TypeError(
                    f"{keyword} names places in an object, and there is none: {layer!r}"
                )
        if not (callable(forward) and callable(backward)):
            raise TypeError(f"{_given(layer, backward)}; {HOW}")
        return cls(forward, backward, may_change_dy=may_change_dy)

    @classmethod
    def without_backward(
        cls, forward: Any, named: Iterable[str] = (), params: Mapping[str, str] | None = None
    ) -> "Layer":
        """Take a forward alone, or an object that has one; what it returns beside y is dropped."""
        both = _methods(forward, None)
        if both is not None:
            model = Model(*_made(*both), params or {})
            named = tuple(dict.fromkeys([*(params or {}), *named]))
            return cls(model.method(both[1]), None, model, named)
        if not isinstance(forward, type) and callable(getattr(forward, "forward", None)):
            forward = forward.forward
        if not callable(forward) or isinstance(forward, type):
            raise TypeError(f"forward is {forward!r}, expected a function")
        return cls(forward, None)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """All that forward can be given by name."""
        if self.model is not None:
            return self.model.parameters(self.named)
        return parameters_of(self.forward)

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The code of this layer."""
        return (self.forward, *(() if self.backward is None else (self.backward,)))

    @property
    def numbers(self) -> Mapping[str, Any]:
        """The numbers that the object holds, and computes with."""
        return {} if self.model is None else self.model.numbers

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be told of how it was run."""
        notes = []
        if self.draws.happened:
            notes.append("random numbers that forward draws are held fixed")
        choices = {} if self.model is None else self.model.choices
        if choices:
            listed = ", ".join(f"{name} = {value!r}" for name, value in choices.items())
            notes.append(f"the object is judged as it is, with {listed}")
        return tuple(notes)

    @cached_property
    def after(self) -> After | None:
        """What backward takes after dy."""
        return None if self.backward is None else After.dy(self.backward)

    @cached_property
    def draws(self) -> Draws:
        """The random numbers that forward draws."""
        return Draws(*([self.forward] if self.model is None else self.model.functions()))

    def inputs(self, given: Mapping[str, Any], const: Mapping[str, Any]) -> list[str]:
        """Put the names of the given inputs into forward's order.

        Raises
        ------
        TypeError
            If forward has no parameter of a given name, or one without default is not given.
        """
        parameters = self.parameters
        who = "forward" if self.model is None else self.model.name
        takes = f"{who} takes {', '.join(parameters)}"
        for name in [*given, *const]:
            if name not in parameters:
                raise TypeError(f"{name} is no parameter of {who}: {takes}")
            if name in given and name in const:
                raise TypeError(f"{name} is given as an input and in const: leave one out")
        for name, parameter in parameters.items():
            if parameter.default is parameter.empty and name not in {**given, **const}:
                raise TypeError(f"{name} is not given: {takes}")
        return [name for name in parameters if name in given]

    def run_forward(self, arguments: Mapping[str, Any], again: Any = None) -> tuple[Any, Any]:
        """Call forward and return y and the cache.

        With the cache of an earlier run as ``again``, an object runs once more as that run has
        left it; otherwise it is a new one.

        Raises
        ------
        TypeError
            If it returns something else.
        RuntimeError
            If it changes an argument in place.
        """
        if self.model is None:
            with unchanged("forward", arguments), self.draws.repeated():
                held = {name: self.draws.hold_in(value, 1) for name, value in arguments.items()}
                y, cache = self._split(called(self.forward, self.parameters, held))
            return (y if _is_foreign(y) else np.asanyarray(y)), cache
        model = self.model
        with self._not_counted():
            made = again.object if isinstance(again, Kept) else model.fresh(arguments)
            made = model.prepared(made, arguments) if again is not None else made
        with unchanged("forward", arguments), self.draws.repeated():
            held = {name: self.draws.hold_in(value, 1) for name, value in arguments.items()}
            self.draws.hold_in(made)
            y, cache = self._split(model.run(made, held))
        y = y if _is_foreign(y) else np.asanyarray(y)
        return y.copy(), Kept(made, cache)

    @contextmanager
    def _not_counted(self) -> Iterator[None]:
        """Let a new object draw its weights, which is no drawing of forward."""
        before = self.draws.happened
        with self.draws.repeated():
            yield
        self.draws.happened = before

    def _split(self, result: Any) -> tuple[Any, Any]:
        """Take apart what forward has returned: y, and the cache or the backward."""
        is_pair = isinstance(result, tuple) and len(result) == 2
        if self.backward is None:
            return result if is_pair else (result, ())
        if self.backward is returned_backward:
            if not (is_pair and callable(result[1])):
                raise TypeError(
                    f"forward returned {_kind(result)}, and no backward was given; expected "
                    f"(y, backward), or two functions such as\n{self._lines()}"
                )
            return result[0], (result[1],)
        if self.model is not None and not (self.after and self.after.required):
            if not isinstance(result, tuple):
                return result, ()
            if is_pair:
                is_cache = isinstance(result[1], tuple)
                return result[0], (result[1] if is_cache else ())
        if is_pair and self.after and self.after.are_upstream(result[1]):
            raise TypeError(
                f"forward returned {_kind(result)}, two outputs; judge each by itself, with a "
                f"forward that returns one of them:\n{self._lines()}"
            )
        if not is_pair and self.model is not None and self.after is not None:
            raise TypeError(
                f"forward returned {_kind(result)}, and backward takes after dy "
                f"{', '.join(self.after.names)}: an object's backward is called with dy, and with "
                "what forward returns beside y"
            )
        if not is_pair:
            raise TypeError(
                f"forward returned {_kind(result)}; expected (y, cache), one output and what "
                f"backward needs, as in\n{self._lines()}"
            )
        if not isinstance(result[1], tuple):
            self._with_cache(result[1])
        return result[0], result[1]

    def _with_cache(self, cache: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        assert self.backward is not None
        try:
            return with_cache(self.backward, self.after, cache)
        except TypeError as error:
            raise TypeError(f"{error}; expected (y, cache), as in\n{self._lines()}") from None

    def run_backward(self, dy: Any, cache: Any, inputs: list[str]) -> dict[str, Any]:
        """Call backward and return each input's claimed gradient by the input's name.

        Raises
        ------
        TypeError
            If it does not return as many gradients as there are inputs, or returns None for one.
        RuntimeError
            If it changes dy or the cache in place.
        """
        assert self.backward is not None
        kept = cache if isinstance(cache, Kept) else None
        backward = self.backward
        if kept is not None and self.model is not None:
            backward, cache = getattr(kept.object, self.model.backward), kept.cache
        parts, named = self._with_cache(cache)
        watched = {} if self.may_change_dy else {"dy": dy}
        watched |= {f"cache[{i}]": value for i, value in enumerate(parts)}
        watched |= {f"cache[{key!r}]": value for key, value in named.items()}
        with unchanged("backward", watched), self.draws.seeded_again():
            result = backward(dy, *parts, **named)
        if kept is not None and self.model is not None:
            result = self.model.gradients(result, kept, inputs)
        return self._gradients(result, inputs)

    def _gradients(self, result: Any, inputs: list[str]) -> dict[str, Any]:
        if isinstance(result, dict):
            found = by_name(result, inputs)
            for name in inputs:
                if name not in found:
                    raise TypeError(
                        f"backward returned a dict with {', '.join(map(str, result)) or 'nothing'}"
                        f", expected d{name} or {name} in it"
                    )
        elif isinstance(result, tuple | list) and result and isinstance(result[-1], dict):
            named = by_name(result[-1], inputs)  # (dx, {"W": dW})
            left = [name for name in inputs if name not in named]
            found = {**self._gradients(tuple(result[:-1]), left), **named}
            found = {name: found[name] for name in inputs}
        else:
            gradients = list(result) if isinstance(result, tuple | list) else [result]
            if len(gradients) != len(inputs):  # None stands for what has no gradient
                left = [gradient for gradient in gradients if gradient is not None]
                gradients = left if len(left) == len(inputs) else gradients
            if len(gradients) != len(inputs):
                raise TypeError(
                    f"backward returned {len(gradients)} gradient(s), expected {len(inputs)}: "
                    f"one for each of {', '.join(inputs)}, in this order"
                )
            found = dict(zip(inputs, gradients, strict=True))
        for name, gradient in found.items():
            if gradient is None:
                raise TypeError(f"backward returned None for d{name}, expected an array")
        return found

    def _lines(self) -> str:
        """Write down how this layer can be written so that it is understood."""
        names = list(parameters_of(self.forward)) or ["x"]
        taken = ", ".join(names)
        gradients = ", ".join(f"d{name}" for name in names)
        cache = f"({taken},)" if len(names) == 1 else f"({taken})"
        return (
            f"  def forward({taken}): ... return y, {cache}\n"
            f"  def backward(dy, {taken}): ... return {gradients}\n"
            f'  prove(forward, backward, {names[0]}="N C")'
        )


def layer_in(names: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what `Layer.of` takes from the names that a piece of code has defined.

    That is forward and backward; or the last class with both; or forward alone.

    Raises
    ------
    TypeError
        If there is nothing of the kind.
    """
    functions = [names[name] for name in ("forward", "backward") if callable(names.get(name))]
    own = [
        value
        for value in names.values()
        if isinstance(value, type) and value.__module__ == names.get("__name__")
    ]
    classes = [one for one in own if callable(getattr(one, "backward", None))]
    if len(functions) < 2 and classes:
        return (classes[-1],)
    if not functions or not callable(names.get("forward")):
        raise TypeError(
            "there is no forward; expected in the code\n"
            "  def forward(x, W): ... return y, (x, W)\n"
            "  def backward(dy, x, W): ... return dx, dW\n"
            "or a class that has both"
        )
    return tuple(functions)


HOW = (
    "expected two functions, forward and backward; a module or an object with both, or a class; "
    "or a forward that returns y and its backward"
)


def _given(layer: Any, backward: Any) -> str:
    if backward is None:
        return f"layer is {layer!r}, without a forward and a backward"
    return f"forward is {layer!r} and backward is {backward!r}"


def _made(given: Any, forward: str, backward: str) -> tuple[Any, str, str]:
    """Make an object of a class that needs nothing to be made."""
    if isinstance(given, type) and not Model(given, forward, backward).constructor:
        with Draws(getattr_static(given, "__init__")).repeated():
            return given(), forward, backward
    return given, forward, backward


def _methods(layer: Any, backward: Any) -> tuple[Any, str, str] | None:
    """Return the object and the names of its methods, if it keeps what its backward needs."""
    if backward is not None:
        own = getattr(layer, "__self__", None)
        is_pair = own is not None and own is getattr(backward, "__self__", None)
        if not is_pair or isinstance(own, type) or not hasattr(own, "__dict__"):
            return None
        one, other = getattr(layer, "__name__", ""), getattr(backward, "__name__", "")
        is_found = (getattr(own, one, None), getattr(own, other, None)) == (layer, backward)
        return (own, one, other) if is_found else None
    of = layer if isinstance(layer, type) else type(layer)
    for name in FORWARD_NAMES:
        both = [getattr_static(of, one, None) for one in (name, "backward")]
        if all(callable(method) and not isinstance(method, type) for method in both):
            if any(isinstance(method, staticmethod | classmethod) for method in both):
                return None
            return layer, name, "backward"
    return None


def _kind(result: Any) -> str:
    if isinstance(result, tuple):
        return f"({', '.join(type(part).__name__ for part in result)})"
    return f"a {type(result).__name__}"


@contextmanager
def unchanged(function: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Raise RuntimeError if an array in the arguments is not what it was before."""
    arrays = [(name, array) for name, value in arguments.items() for array in _arrays_in(value)]
    before = [array.copy() for _, array in arrays]
    yield
    for (name, array), old in zip(arrays, before, strict=True):
        if not _same(array, old):
            allowed = "; may_change_dy=True allows it" if (function, name) == CHANGES_DY else ""
            raise RuntimeError(
                f"{function} changed {name} in place; whoever passed it may still need it{allowed}"
            )


def _is_foreign(value: Any) -> bool:
    """Say whether this is an array that is not NumPy's, but that NumPy's functions take."""
    return hasattr(value, "__array_function__") and not isinstance(value, np.ndarray)


def _arrays_in(value: Any) -> Iterator[Any]:
    if isinstance(value, np.ndarray) or hasattr(type(value), "same"):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _arrays_in(part)
    elif isinstance(value, dict):
        yield from _arrays_in(list(value.values()))


def _same(array: Any, old: Any) -> bool:
    if _is_foreign(array):  # one of `backprop_lib.proof.symbolic`
        return bool(array.same(old))
    if array.dtype == object:  # by identity: exact symbols do not compare
        return all(new is entry for new, entry in zip(array.flat, old.flat, strict=True))
    return np.array_equal(array, old, equal_nan=old.dtype.kind == "f")
