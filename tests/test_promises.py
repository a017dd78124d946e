"""What every layer promises, asked of each forward and backward that there is.

A module that is put into ``layers`` or ``ops`` is asked without being named here. Only one that
takes a mean or a sum over the batch is named in ``REDUCE_THE_BATCH``. The inputs are the recorded
cases of PyTorch; what ``fast`` puts together is compared with the layers one after the other
instead.
"""

import inspect
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import layer_by_layer as by_layer
import numpy as np
import pytest
from mutants import proofs_of, variants

from backprop_lib import fast, layers, ops
from backprop_lib.gradcheck import gradcheck
from backprop_lib.layer import Layer
from backprop_lib.proof import prove_at
from backprop_lib.recorded import load
from backprop_lib.shapes import Labels, ShapeError, format_shape, shape_table

READABLE = (layers, ops)
OF_BATCHNORM = {"x": "N C", "W": "C", "b": "C"}
OF_BATCHNORM_WITH_PLACES = {**OF_BATCHNORM, "x": "N C L"}
FOLDED = [{"N": 1, "C_in": 1, "C_out": 1, "L": 2}, {"N": 2, "C_in": 1, "C_out": 2, "L": 1}]
FAST_AT_SIZES = {
    "conv1d": [{"sizes": {"N": 2, "C_in": 2, "C_out": 3, "L": 1}}],
    "bmm": [{"sizes": {"N": 2, "L": 1, "C": 2, "D": 3}}],
    "max": [{"sizes": {"N": 2, "C": 1, "L": 3}}],
    "batchnorm1d": [
        {"sizes": {"N": 3, "C": 2}, **OF_BATCHNORM},
        {"sizes": {"N": 1, "C": 2, "L": 2}, **OF_BATCHNORM_WITH_PLACES},
    ],
    "batchnorm1d_relu": [
        {"sizes": {"N": 2, "C": 2}, **OF_BATCHNORM},
        {"sizes": {"N": 1, "C": 1, "L": 2}, **OF_BATCHNORM_WITH_PLACES},
    ],
    "conv1d_batchnorm1d_relu": [{"sizes": sizes} for sizes in FOLDED],
    "conv1d_batchnorm1d_relu_max": [{"sizes": sizes} for sizes in FOLDED],
}
"""At which sizes the prover follows the loops over samples; it follows whole arrays for all."""
REDUCE_THE_BATCH = {
    "batchnorm1d.forward",
    "batchnorm1d_relu.forward",
    "conv1d_batchnorm1d_relu.forward",
    "conv1d_batchnorm1d_relu_max.forward",
    "derivation.forward",
    "derivation.forward_max",
    "log_softmax_nll.forward",
}
"""Those that take a mean or a sum over the batch."""


@dataclass(frozen=True)
class Variant:
    """A forward and its backward: those of a module whose names end alike."""

    module: ModuleType
    ending: str

    def __str__(self):
        return f"{self.module.__name__.removeprefix('backprop_lib.')}.{self.forward.__name__}"

    def reduces_the_batch(self, case):
        """Say whether forward takes a mean, a sum or a maximum over the batch."""
        if "axis" in case.const:
            return case.const["axis"] % case.inputs["x"].ndim == 0
        return f"{stem(self.module)}.{self.forward.__name__}" in REDUCE_THE_BATCH

    @property
    def forward(self):
        return getattr(self.module, f"forward{self.ending}")

    @property
    def backward(self):
        return getattr(self.module, f"backward{self.ending}")

    @cached_property
    def cases(self):
        if any(self.forward is layer.fast.forward for layer in by_layer.ALL.values()):
            return by_layer.cases(self.forward)
        cases = [self._without_axis(case) for case in load(stem(self.module) + self.ending)]
        return [case for case in cases if set(case.const) <= set(parameters(self.forward))]

    def _without_axis(self, case):
        """Return a case of the maximum along the last of three axes as the fast one takes it."""
        if "axis" in parameters(self.forward) or case.const.get("axis") not in (-1, 2):
            return case
        return replace(case, const={}) if case.dy.ndim == 2 else case

    @property
    def in_double(self):
        return [case for case in self.cases if case.dy.dtype == np.float64]

    def run(self, inputs, const, dy=None):
        """Return y and the gradients, and the cache; complain if what was given is changed."""
        layer = Layer.of(self.forward, self.backward)
        y, cache = layer.run_forward({**inputs, **const})
        dy = np.ones(y.shape, y.dtype) if dy is None else dy
        return (y, *layer.run_backward(dy, cache, list(inputs)).values()), cache


def stem(module):
    return module.__name__.rpartition(".")[2]


def parameters(function):
    return inspect.signature(function).parameters


def modules(package):
    return [import_module(f"{package.__name__}.{m.name}") for m in iter_modules(package.__path__)]


VARIANTS = [
    Variant(module, ending)
    for package in (*READABLE, fast)
    for module in modules(package)
    for ending in variants(vars(module))
]
EACH = pytest.mark.parametrize("variant", VARIANTS, ids=str)


@pytest.mark.parametrize("package", READABLE, ids=lambda package: package.__name__)
def test_every_module_of_a_package_is_asked(package):
    files = {path.stem for path in Path(package.__path__[0]).glob("[!_]*.py")}
    assert files == {stem(v.module) for v in VARIANTS if v.module.__package__ == package.__name__}


@pytest.mark.parametrize("package", [*READABLE, fast], ids=lambda package: package.__name__)
def test_every_forward_has_its_backward(package):
    for module in modules(package):
        forwards = [name for name in vars(module) if name.startswith("forward")]
        backwards = [name for name in vars(module) if name.startswith("backward")]
        assert [name.replace("forward", "backward") for name in forwards] == backwards, module


@EACH
def test_agrees_with_pytorch(variant):
    assert {case.dy.dtype.name for case in variant.cases} == {"float64", "float32"}
    for case in variant.cases:
        assert case.error_of(variant.forward, variant.backward) < case.limit, case


@EACH
def test_agrees_with_measured_slopes(variant):
    pair = variant.forward, variant.backward
    for case in variant.in_double:
        for method in ("entries", "direction"):
            assert gradcheck(*pair, **case.inputs, const=case.const, method=method), case


PATIENCE = 90
"""Seconds of processor for 81 branches, which take half of what `prove` has, or more when busy."""


@EACH
def test_is_proven(variant):
    at_sizes = FAST_AT_SIZES.get(stem(variant.module), [])
    if variant.ending:  # evaluation: its statistics are constants, the first sizes tell enough
        at_sizes = at_sizes[:1]
    if variant.module.__package__ == fast.__name__ and at_sizes:
        pair = variant.forward, variant.backward
        reports = [prove_at(*pair, **given, budget=PATIENCE) for given in at_sizes]
    else:
        reports = list(proofs_of(variant.module, variant.ending))
    gradients = [f"d{name}" for name in variant.cases[0].inputs]
    for report in reports:
        assert report
        assert [verdict.gradient for verdict in report] == gradients


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "every other entry": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "every other sample": lambda array: np.repeat(array, 2, axis=0)[::2],
    "from the end to the start": lambda array: np.flip(np.flip(array).copy()),
}


def laid_out(value, layout):
    """Return a read-only array that holds the same; what is no array of axes, as it is."""
    if np.ndim(value) == 0:
        return value
    array = LAYOUTS[layout](value)
    array.flags.writeable = False
    return array


@EACH
def test_any_memory_layout_gives_the_same(variant):
    for case in variant.in_double:
        expected, _ = variant.run(case.inputs, case.const, case.dy)
        for layout in LAYOUTS:
            inputs, const = (
                {name: laid_out(value, layout) for name, value in given.items()}
                for given in (case.inputs, case.const)
            )
            dy = laid_out(case.dy, layout)
            ours, cache = variant.run(inputs, const, dy)
            again = variant.backward(dy, *(laid_out(value, layout) for value in cache))
            ours += again if isinstance(again, tuple) else (again,)
            assert by_layer.worst_error(ours, (*expected, *expected[1:])) < 1e-12, (layout, case)


@EACH
def test_a_broadcast_upstream_gradient_is_taken(variant):
    for case in variant.in_double:
        dy = np.broadcast_to(case.dy[:1] if case.dy.ndim else case.dy, case.dy.shape)
        expected, _ = variant.run(case.inputs, case.const, dy.copy())
        ours, _ = variant.run(case.inputs, case.const, dy)
        assert by_layer.worst_error(ours, expected) < 1e-12, case


@EACH
def test_results_are_new_and_backward_gives_them_again(variant):
    for case in variant.cases:
        (y, *first), cache = variant.run(case.inputs, case.const, case.dy)
        before = [gradient.copy() for gradient in first]
        second = Layer.of(variant.forward, variant.backward).run_backward(
            case.dy, cache, list(case.inputs)
        )
        given = [*case.inputs.values(), *case.const.values(), case.dy]
        assert not shared(y, given), case
        for name, old, gradient, new in zip(
            case.inputs, before, first, second.values(), strict=True
        ):
            others = [other for other in first if other is not gradient]
            assert not shared(gradient, [*given, y, *cache, *others, new]), (name, case)
            assert old.tobytes() == gradient.tobytes() == new.tobytes(), (name, case)


@EACH
def test_the_cache_holds_no_copies(variant):
    for case in variant.cases:
        given = {**case.inputs, **case.const}
        y, cache = variant.forward(**given)
        for kept in arrays_in(cache):
            same = [one for one in arrays_in((*given.values(), y)) if identical(kept, one)]
            assert not same or shared(kept, same), case


def identical(a, b):
    return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


def arrays_in(values):
    return [value for value in values if isinstance(value, np.ndarray)]


def shared(result, others):
    return any(np.shares_memory(result, array) for array in arrays_in(others))


@EACH
def test_results_are_arrays_and_a_y_of_shape_0_may_be_a_scalar(variant):
    for case in variant.cases:
        y, cache = variant.forward(**case.inputs, **case.const)
        gradients = variant.backward(case.dy, *cache)
        for gradient in gradients if isinstance(gradients, tuple) else (gradients,):
            assert type(gradient) is np.ndarray, case
        assert type(y) in ([np.ndarray] if y.shape else [np.ndarray, case.dy.dtype.type]), case


@EACH
def test_keeps_the_precision(variant):
    has_wider_statistics = variant.module.__package__ == fast.__name__
    for case in variant.in_double:
        for dtype in (np.float16, np.float32, np.float64, np.longdouble):
            inputs, const = (as_floats(given, dtype) for given in (case.inputs, case.const))
            results, cache = variant.run(inputs, const, case.dy.astype(dtype))
            if not has_wider_statistics:
                results += tuple(part for part in cache if is_of_floats(part))
            assert {result.dtype for result in results} == {np.dtype(dtype)}, case


@EACH
def test_nan_reaches_what_depends_on_it(variant):
    for case in variant.in_double:
        usual, _ = variant.run(case.inputs, case.const, case.dy)
        for name, value in {**case.inputs, **case.const, "dy": case.dy}.items():
            for place in {0, value.size // 2, value.size - 1} if is_of_floats(value) else ():
                moved = variant.run(*case_with(case, name, place, value.flat[place] + 1))[0]
                with np.errstate(invalid="ignore"):
                    spoilt = variant.run(*case_with(case, name, place, np.nan))[0]
                reached = slice(1, None) if name == "dy" else slice(1)  # dy: gradients; else: y
                for old, new, result in zip(
                    usual[reached], moved[reached], spoilt[reached], strict=True
                ):
                    assert np.isnan(result)[abs(new - old) > 1e-9].all(), (case, name, place)


def case_with(case, name, place, entry):
    """Return inputs, constants and dy of a case, with another entry at a place of one array."""
    given = {**case.inputs, **case.const, "dy": case.dy}
    given[name] = given[name].copy()
    given[name].flat[place] = entry
    dy = given.pop("dy")
    return {k: given.pop(k) for k in case.inputs}, given, dy


@EACH
def test_of_several_dtypes_y_has_the_widest_and_a_gradient_one_of_them(variant):
    for case in variant.in_double:
        given = {**case.inputs, **case.const, "dy": case.dy}
        for usual, other in [(np.float16, np.float32), (np.float32, np.float16)]:
            for name in (name for name, value in given.items() if is_of_floats(value)):
                mixed = {**as_floats(given, usual), name: given[name].astype(other)}
                dy = mixed.pop("dy")
                widest = np.result_type(*(value for value in mixed.values() if is_of_floats(value)))
                inputs = {name: mixed.pop(name) for name in case.inputs}
                (y, *gradients), _ = variant.run(inputs, mixed, dy)
                assert y.dtype == widest, (case, name)
                assert {gradient.dtype for gradient in gradients} <= {
                    np.dtype(usual),
                    np.dtype(other),
                }, (case, name)


def is_of_floats(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def as_floats(given, dtype):
    return {k: v.astype(dtype) if is_of_floats(v) else v for k, v in given.items()}


# What may be given


def spelled(axes, ndim):
    """Return the name of each axis of an array: ``N *L`` of three axes is N, L.0, L.1."""
    names = axes.split()
    for i, name in enumerate(names):
        if name.startswith("*"):
            names[i : i + 1] = [f"{name[1:]}.{k}" for k in range(ndim - len(names) + 1)]
            break
    return names


def array_axes(function):
    """Return the axes of each array that a function takes, without what else is said of it."""
    table = shape_table(function).items()
    return {k: axes.removeprefix("const ").partition(" < ")[0] for k, axes in table}


def resized(array, axis, size):
    """Return an array with another size along one axis: its entries, again and again."""
    return np.take(array, np.arange(size) % array.shape[axis], axis=axis)


def sizes_by_name(case, function):
    """Return the size of each axis by its name."""
    given = {**case.inputs, **case.const}
    return {
        axis: size
        for name, axes in array_axes(function).items()
        for axis, size in zip(spelled(axes, given[name].ndim), given[name].shape, strict=True)
    }


def with_size(case, function, axis, size):
    """Return the inputs and the rest of a case with another size along the axis of that name."""
    changed = {**case.inputs, **case.const}
    for name, axes in array_axes(function).items():
        for place, other in enumerate(spelled(axes, changed[name].ndim)):
            if other == axis:
                changed[name] = resized(changed[name], place, size)
    return {k: changed.pop(k) for k in case.inputs}, changed


@EACH
def test_an_empty_batch_is_taken_unless_forward_reduces_it(variant):
    for case in variant.cases:
        inputs, const = with_size(case, variant.forward, "N", 0)
        if variant.reduces_the_batch(case):
            with pytest.raises(ShapeError, match=r"x has shape \(0,.*at least "):
                variant.run(inputs, const)
        else:
            (y, *gradients), _ = variant.run(inputs, const)
            assert y.size == 0, case
            assert {r.dtype for r in (y, *gradients)} == {case.dy.dtype}, case
            assert not any(gradient.any() for gradient in gradients), case


@EACH
def test_an_axis_without_entries_is_taken_or_refused_by_name(variant):
    case = variant.in_double[0]
    for axis in sizes_by_name(case, variant.forward):
        inputs, const = with_size(case, variant.forward, axis, 0)
        error = error_of(fits, variant, inputs, const)
        if error is not None:
            assert isinstance(error, ShapeError), axis
            assert str(error).startswith(stem(variant.module)), axis


def fits(variant, inputs, const):
    """Run a layer; complain if a gradient has not the shape of its input."""
    (_, *gradients), _ = variant.run(inputs, const)
    for name, gradient in zip(inputs, gradients, strict=True):
        assert gradient.shape == inputs[name].shape, name


def error_of(function, *arguments, **given):
    try:
        function(*arguments, **given)
    except Exception as error:
        return error
    return None


# What may not be given


def is_labels(function, name):
    return parameters(function)[name].annotation.array_type is Labels


def wrong_kinds(function, arguments):
    """Yield the name of each array, and what it might be but for an array of the right dtype."""
    for name in array_axes(function):
        value = np.asarray(arguments[name])
        yield name, value.tolist(), type(value.tolist()).__name__
        for dtype in ("bool", "complex128", "float64" if is_labels(function, name) else "int64"):
            yield name, value.astype(dtype), dtype


def wrong_numbers_of_axes(function, arguments):
    """Yield the name of each array, and the array with an axis more and an axis less."""
    for name, axes in array_axes(function).items():
        value, least = (
            np.asarray(arguments[name]),
            len([a for a in axes.split() if not a.startswith("*")]),
        )
        if "*" not in axes:
            yield name, value[None]
        if least:
            yield name, np.asarray(value[(0,) * (value.ndim - least + 1)])


def sizes(function, arguments):
    """Yield the name of each array, a place and its size, and how often that axis is named."""
    places = {k: spelled(axes, arguments[k].ndim) for k, axes in array_axes(function).items()}
    count = Counter(axis for axes in places.values() for axis in axes)
    for name, axes in places.items():
        for place, axis in enumerate(axes):
            is_number = axis.isdecimal()
            yield name, place, arguments[name].shape[place], count[axis] + is_number


def wrong_labels(function, arguments):
    """Yield the name of each array of labels, and one with a label that names no place."""
    for name in array_axes(function):
        if is_labels(function, name):
            for label in (-1, 1000):
                value = arguments[name].copy()
                value.flat[-1] = label
                yield name, value, label


def calls(variant):
    """Return forward and backward, each with arguments that are right."""
    case = variant.in_double[0]
    given = {**case.inputs, **case.const}
    _, cache = variant.forward(**given)
    return [
        (variant.forward, given),
        (
            variant.backward,
            dict(zip(parameters(variant.backward), (case.dy, *cache), strict=False)),
        ),
    ]


def told(function, arguments, kind):
    """Return what the function says of wrong arguments, which must begin with its own name."""
    error = error_of(function, **arguments)
    assert type(error) is kind, f"{function.__name__}: {error!r}"
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}: "
    assert str(error).startswith(name)
    assert "\n" not in str(error)
    return str(error).removeprefix(name)


@EACH
def test_refuses_by_name_what_is_no_array_of_that_kind(variant):
    for function, arguments in calls(variant):
        for name, value, kind in wrong_kinds(function, arguments):
            message = told(function, {**arguments, name: value}, TypeError)
            expected = format_shape(array_axes(function)[name].split())
            assert re.match(rf"expected {name} to be \w+ of shape {re.escape(expected)}: ", message)
            assert kind in message


@EACH
def test_refuses_by_name_another_number_of_axes(variant):
    for function, arguments in calls(variant):
        for name, value in wrong_numbers_of_axes(function, arguments):
            message = told(function, {**arguments, name: value}, ShapeError)
            expected = format_shape(array_axes(function)[name].split())
            assert message.startswith(f"{name} has shape {value.shape}, expected {expected}")


@EACH
def test_refuses_by_name_a_size_that_is_not_that_of_another_array(variant):
    for function, arguments in calls(variant):
        for name, place, size, count in sizes(function, arguments):
            for wrong in {1, size + 1} - {size} if count > 1 else ():
                given = {**arguments, name: resized(arguments[name], place, wrong)}
                message = told(function, given, ShapeError)
                subject = message.split()[0]
                expected = format_shape(array_axes(function)[subject].split())
                start = f"{subject} has shape {given[subject].shape}, expected {expected}: axis "
                assert message.startswith(start)
                assert subject == name or f"but {name} has " in message
                assert re.search(rf"\b{wrong}\b", message)


@EACH
def test_a_size_that_stands_once_may_be_any_or_is_refused_in_the_layers_own_words(variant):
    case = variant.in_double[0]
    for function, arguments in calls(variant):
        for name, place, size, count in sizes(function, arguments):
            if count > 1:
                continue
            given = {**arguments, name: resized(arguments[name], place, size + 1)}
            if function is variant.forward:
                inputs = {k: given.pop(k) for k in case.inputs}
                error = error_of(fits, variant, inputs, given)
            else:
                error = error_of(function, **given)
            if error is not None:
                assert isinstance(error, ShapeError), (function, name, error)
                assert str(error).startswith(stem(variant.module)), (function, name)
                assert ": returned " not in str(error), (function, name)


@EACH
def test_refuses_by_name_a_label_that_names_no_place(variant):
    for function, arguments in calls(variant):
        for name, value, label in wrong_labels(function, arguments):
            message = told(function, {**arguments, name: value}, ValueError)
            assert re.match(rf"{name}\[.*\] is {label}, expected a label from 0 to \d+: ", message)
