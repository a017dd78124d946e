"""How else a forward and a backward are written, and how each is called.

A layer is a pair as in `backprop_lib.layer`. What is taken besides:

- a cache that is no tuple, or a tuple that backward unpacks itself: ``backward(dy, cache)``;
- a forward that returns y and its backward, ``y, backward = forward(x)``;
- a backward that returns a dict of gradients by name, and None for what has no gradient;
- an object that keeps on itself what its backward needs (see `backprop_lib.models`).

Which of them it is, is judged from the signatures, and from what is returned.
"""

import dis
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
CALLED_CACHE = re.compile(r"_?(caches?|ctx|context|saved\w*|memory|memo|stash|tape|residuals?)")
"""Names of a parameter of backward that is the cache as a whole."""
UPSTREAM = re.compile(r"d|d[A-Za-z]\d?|d_\w+|d\w*(next|prev|out)\w*|grad\w*|\w+_grad")
"""Names of a parameter of backward that is an upstream gradient."""
GRADIENT_NAMES = ("d{}", "grad_{}", "{}_grad", "d_{}", "grad{}")


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function that have names to be given by."""
    parameters = inspect.signature(function).parameters
    return {name: p for name, p in parameters.items() if p.kind not in ANY_NUMBER}


def called(
    function: Callable[..., Any],
    parameters: Mapping[str, inspect.Parameter],
    arguments: Mapping[str, Any],
) -> Any:
    """Call a function with arguments by name, those by position only included."""
    left = dict(arguments)
    by_position = [
        left.pop(name)
        for name, parameter in parameters.items()
        if parameter.kind is parameter.POSITIONAL_ONLY and name in left
    ]
    return function(*by_position, **left)


def with_cache(
    backward: Callable[..., Any], after: "After | None", cache: Any
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Return the arguments of backward after dy: the parts of the cache, or the cache as a whole.

    A tuple is spread if backward can be called so, even where it could take it as a whole, too.

    Raises
    ------
    TypeError
        If backward takes neither.
    """
    if after is None:
        return (cache if isinstance(cache, tuple) else (cache,)), {}
    is_plain = isinstance(cache, tuple) and not hasattr(cache, "_fields")
    is_whole = after.takes_whole and not (is_plain and after.is_spread(backward, cache))
    if is_whole:
        return ((cache,), {}) if after.positional else ((), {after.keywords[0].name: cache})
    if isinstance(cache, tuple | list) and after.takes(len(cache)):
        return tuple(cache), {}
    if isinstance(cache, dict) and after.takes_by_name(cache):
        return (), cache
    if cache is None and after.takes(0):
        return (), {}
    raise TypeError(
        f"forward returned as its cache {_described(cache)}, and backward takes after dy "
        f"{', '.join(after.names) or 'nothing'}"
    )


@dataclass(frozen=True)
class After:
    """The parameters of a backward after dy; of some built-in functions they are not known."""

    positional: tuple[inspect.Parameter, ...]
    keywords: tuple[inspect.Parameter, ...]
    any_position: bool
    any_keyword: bool

    @classmethod
    def dy(cls, backward: Callable[..., Any]) -> "After | None":
        """Return them, if they are known."""
        try:
            own = inspect.signature(backward, follow_wrapped=False).parameters.values()
            decorated = all(parameter.kind in ANY_NUMBER for parameter in own)
            parameters = list(inspect.signature(backward).parameters.values() if decorated else own)
        except (TypeError, ValueError):
            return None
        kinds = [parameter.kind for parameter in parameters]
        positional = [p for p in parameters if p.kind in POSITIONAL]
        return cls(
            tuple(positional[1:]),
            tuple(p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY),
            inspect.Parameter.VAR_POSITIONAL in kinds,
            inspect.Parameter.VAR_KEYWORD in kinds,
        )

    @property
    def names(self) -> list[str]:
        """The names of all that have one."""
        return [p.name for p in (*self.positional, *self.keywords)]

    @property
    def required(self) -> list[inspect.Parameter]:
        """Those without a default."""
        return [p for p in (*self.positional, *self.keywords) if p.default is p.empty]

    @property
    def takes_whole(self) -> bool:
        """Whether backward can be called with dy and one thing more."""
        if self.positional:
            return len(self.required) <= 1 and self.required in ([], [self.positional[0]])
        return len(self.keywords) == len(self.required) == 1 and not self.any_position

    def takes(self, number: int) -> bool:
        """Say whether backward can be called with so many arguments after dy."""
        least = len(self.required)
        by_position = not any(p.default is p.empty for p in self.keywords)
        return (
            by_position
            and least <= number
            and (number <= len(self.positional) or self.any_position)
        )

    def are_upstream(self, second: Any) -> bool:
        """Say whether forward has returned a second output, of which backward takes a gradient."""
        is_array = isinstance(second, np.ndarray) or hasattr(second, "__array_function__")
        first = next(iter(self.positional), None)
        return is_array and first is not None and UPSTREAM.fullmatch(first.name) is not None

    def takes_by_name(self, cache: Mapping[Any, Any]) -> bool:
        """Say whether the entries of a dict can be arguments of these names."""
        return {p.name for p in self.required} <= set(cache) and (
            self.any_keyword or set(cache) <= set(self.names)
        )

    def is_spread(self, backward: Callable[..., Any], cache: tuple[Any, ...]) -> bool:
        """Say whether a tuple that backward can take as a whole is spread all the same."""
        if not self.takes(len(cache)):
            return False
        if not self.positional or not self.required:
            return True
        name = self.required[0].name
        is_called_cache = CALLED_CACHE.fullmatch(name) is not None
        if len(cache) > 1:
            return not is_called_cache
        is_array = isinstance(cache[0], np.ndarray) or hasattr(cache[0], "__array_function__")
        unpacked, indexed = _is_taken_apart(backward, name)
        return not (is_array and (unpacked or (indexed and is_called_cache)))


def _is_taken_apart(function: Callable[..., Any], name: str) -> tuple[bool, bool]:
    """Say whether a function unpacks an argument, as ``x, = cache``, or takes its first part."""
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    if code is None:
        return False, False
    instructions = [i for i in dis.get_instructions(code) if i.opname not in ("CACHE", "NOP")]
    unpacked = indexed = False
    for one, two, three in zip(
        instructions, instructions[1:], [*instructions[2:], instructions[-1]], strict=False
    ):
        if one.opname.startswith("LOAD") and one.argval == name:
            unpacked = unpacked or two.opname.startswith("UNPACK")
            is_index = two.opname.startswith("LOAD") and two.argval == 0
            indexed = indexed or (is_index and ("SUBSCR" in three.opname or three.argrepr == "[]"))
    return unpacked, indexed


def _described(value: Any) -> str:
    if isinstance(value, tuple):
        kinds = ", ".join(type(part).__name__ for part in value)
        return f"a tuple of {len(value)}: ({kinds})"
    if isinstance(value, dict):
        return f"a dict with {', '.join(map(str, value)) or 'nothing'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"a {type(value).__name__}"


def returned_backward(dy: Any, backward: Callable[..., Any]) -> Any:
    """Call the backward that forward has returned in the place of a cache."""
    return backward(dy)


def by_name(result: Mapping[Any, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the gradients in a dict that backward has returned by the names of the inputs."""
    found: dict[str, Any] = {}
    for name in names:
        keys = [key.format(name) for key in (*GRADIENT_NAMES, "{}")]
        key = next((key for key in keys if key in result and key not in names), None)
        if key is None and name in result:
            key = name
        if key is not None:
            found[name] = result[key]
    return found
