"""Arrays that code makes itself, in a run on arrays of symbolic shape.

Every function here stands for NumPy's of the same name, and takes the same arguments after the
run. It returns `PLAIN` where all that is asked for is known, which leaves the call to NumPy.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from backprop_lib.proof import calculus
from backprop_lib.proof.calculus import ONE, ZERO, Formula
from backprop_lib.proof.indexing import OpenRange
from backprop_lib.proof.numpy_functions import eye, is_lower, kind_of
from backprop_lib.proof.refusal import MismatchError
from backprop_lib.proof.symbolic import (
    KINDS,
    MOST_ENTRIES,
    Axis,
    LostArray,
    PlaceArray,
    Run,
    Size,
    SymbolicArray,
    aligned,
    as_array,
    axes_for,
    called,
    fresh_axes,
    renaming,
    shape_text,
    size_along,
    sizes_along,
)

PLAIN = object()
"""What is left to NumPy."""
OURS = (SymbolicArray, PlaceArray, LostArray, Size)


class SymbolicCreator:
    """Makes arrays for a run on arrays of symbolic shape."""

    def __init__(self, run: Run):
        self.run = run

    def __call__(
        self,
        name: str,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        """Make what NumPy's function would make, with symbolic sizes and entries."""
        given = options
        if isinstance(options.get("like"), OURS):
            given = {key: value for key, value in options.items() if key != "like"}
        result = called(self.run, name, partial(MODELS[name], self.run), args, given)
        return original(*args, **options) if result is PLAIN else result


def _is_known(value: Any) -> bool:
    """Say whether a shape, or what an array is to hold, is plain numbers."""
    if isinstance(value, tuple | list):
        return all(map(_is_known, value))
    return not isinstance(value, OURS)


def _axes(run: Run, shape: Any, kind: str) -> list[Axis] | None:
    """Return axes of a shape; None if NumPy's own array will do, as it will not for floats.

    Into an array of floats, entries may be written that are formulas.
    """
    if _is_known(shape):
        sizes = np.atleast_1d(np.asarray(shape))
        if kind != "float" or sizes.dtype.kind != "i" or (sizes < 1).any():
            return None if sizes.size else []
        shape = tuple(sizes.tolist())
    return axes_for(run, shape)


def _filled(value: Formula) -> Callable[..., Any]:
    def model(
        run: Run, shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None
    ) -> Any:
        kind = kind_of(run, float if dtype is None else dtype)
        axes = _axes(run, shape, kind)
        return PLAIN if axes is None else SymbolicArray(run, axes, value, kind=kind)

    return model


def _empty(run: Run, shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    kind = kind_of(run, float if dtype is None else dtype)
    axes = _axes(run, shape, kind)
    return PLAIN if axes is None else run.empty(axes, kind)


def _full(
    run: Run,
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "C",
    *,
    device: Any = None,
) -> Any:
    is_plain = _is_known(shape) and not isinstance(fill_value, OURS)
    if is_plain and (np.ndim(fill_value) or not math.isfinite(fill_value)):
        return PLAIN
    value = as_array(run, fill_value)
    kind = value.kind if dtype is None else kind_of(run, dtype)
    if KINDS.index(value.kind) > KINDS.index(kind):
        run.refuse(f"fills an array of {kind} with {value.kind} numbers")
    axes = _axes(run, shape, "float" if isinstance(fill_value, OURS) else kind)
    if axes is None:
        return PLAIN
    whole = SymbolicArray(run, axes, ZERO)
    common, (_, formula) = aligned(whole, value)
    if [sizes_along(axis) for axis in common] != [sizes_along(axis) for axis in axes]:
        raise MismatchError(f"{shape_text(value)} does not broadcast to {shape_text(whole)}")
    return SymbolicArray(run, common, formula, kind=kind)


def _like(made: Callable[..., Any]) -> Callable[..., Any]:
    """Model np.zeros_like and its like; of an array of open sizes, NumPy asks the array."""

    def model(run: Run, a: Any, *args: Any, dtype: Any = None, **options: Any) -> Any:
        if not isinstance(a, np.ndarray) or isinstance(a, OURS) or options or len(args) > 1:
            return PLAIN
        if dtype is None and made is _full:
            dtype = a.dtype
        elif dtype is None:
            dtype = args[0] if args else a.dtype
            args = ()
        return made(run, a.shape, *args, dtype=dtype)

    return model


def _eye(
    run: Run,
    N: Any,
    M: Any = None,
    k: Any = 0,
    dtype: Any = float,
    order: Any = "C",
    *,
    device: Any = None,
) -> Any:
    if _is_known([N, M]) and (k or kind_of(run, dtype) != "float" or M not in (None, N)):
        return PLAIN
    return eye(run, N, M, k, dtype, order, device)


def _identity(run: Run, n: Any, dtype: Any = None) -> Any:
    return _eye(run, n, dtype=float if dtype is None else dtype)


def _tri(run: Run, N: Any, M: Any = None, k: Any = 0, dtype: Any = float) -> Any:
    if _is_known([N, M]) and kind_of(run, dtype) != "float":
        return PLAIN
    rows, columns = axes_for(run, [N, N if M is None else M])
    mask = is_lower(run, rows, columns, k)
    return SymbolicArray(run, [rows, columns], mask, kind=kind_of(run, dtype))


def _arange(
    run: Run,
    start: Any,
    stop: Any = None,
    step: Any = None,
    dtype: Any = None,
    *,
    device: Any = None,
) -> Any:
    if _is_known([start, stop, step]):
        return PLAIN
    if stop is None:
        start, stop = 0, start
    starts_at_zero = isinstance(start, int) and start == 0
    if not starts_at_zero or not (step is None or (isinstance(step, int) and step == 1)):
        run.refuse("calls np.arange with an open size and more than that; use np.arange(N)")
    if dtype is not None and kind_of(run, dtype) != "int":
        run.refuse(f"asks np.arange for {dtype}; leave that out")
    (axis,) = axes_for(run, [stop])
    if len(axis) > 1:
        run.refuse("calls np.arange for an axis that was merged from several")
    return PlaceArray(run, [axis], axis[0] if axis else 0)


def _array(
    run: Run,
    object: Any,  # noqa: A002  NumPy's name
    dtype: Any = None,
    *,
    copy: Any = True,
    order: Any = "K",
    subok: Any = False,
    ndmin: Any = 0,
) -> Any:
    if _is_known(object):
        return PLAIN
    if ndmin:
        run.refuse("calls np.array with ndmin; use np.atleast_2d, or [None]")
    made = _asarray(run, object, dtype)
    return made.copy() if made is object and copy else made


def _asarray(
    run: Run,
    a: Any,
    dtype: Any = None,
    order: Any = None,
    *,
    device: Any = None,
    copy: Any = None,
) -> Any:
    if _is_known(a):
        return PLAIN
    array = _stacked(run, a) if isinstance(a, tuple | list) else a
    if isinstance(array, PlaceArray):
        return array
    array = as_array(run, array)
    if dtype is not None and kind_of(run, dtype) != array.kind:
        return array.astype(dtype)
    return array.copy() if copy else array


def _ascontiguousarray(run: Run, a: Any, dtype: Any = None) -> Any:
    if _is_known(a):
        return PLAIN
    array = _asarray(run, a, dtype)  # itself or a copy: that depends on its layout in memory
    return array if isinstance(array, PlaceArray) else array.view(array.axes, array.formula)


def _stacked(run: Run, parts: Sequence[Any]) -> SymbolicArray:
    """Return an array of arrays, along a new first axis."""
    arrays = [
        _stacked(run, part) if isinstance(part, tuple | list) else as_array(run, part)
        for part in parts
    ]
    shapes = {tuple(map(sizes_along, array.axes)) for array in arrays}
    if len(shapes) > 1:
        texts = " and ".join(sorted({shape_text(array) for array in arrays}))
        raise MismatchError(f"np.array of parts of different shapes, {texts}")
    if len(arrays) > MOST_ENTRIES:
        run.refuse(f"makes an array of more than {MOST_ENTRIES} parts")
    (first,) = axes_for(run, [len(arrays)])
    axes = fresh_axes(arrays[0].axes)
    formulas = [array.formula.substituted(renaming(array.axes, axes)) for array in arrays]
    if first:
        formulas = [calculus.delta(first[0], k) * part for k, part in enumerate(formulas)]
    kind = max((array.kind for array in arrays), key=KINDS.index)
    return SymbolicArray(run, [first, *axes], calculus.added(formulas), kind=kind)


def _len(run: Run, x: Any) -> Any:
    if not isinstance(x, SymbolicArray | PlaceArray) or not x.axes:
        return PLAIN
    return size_along(run, x.axes[0])


def _prod(run: Run, a: Any, *args: Any, **options: Any) -> Any:
    is_shape = isinstance(a, tuple | list) and all(np.ndim(part) == 0 for part in a)
    if _is_known(a) or not is_shape:
        return PLAIN
    if args or options:
        run.refuse("calls np.prod of sizes with more than that")
    return math.prod(a)


def _range(run: Run, *args: Any) -> Any:
    """Model range(N), which is an index, or a loop for which N is needed as a number."""
    is_whole = len(args) == 1 or (len(args) == 2 and _is_known(args[0]) and args[0] == 0)
    if not is_whole or not isinstance(args[-1], Size):
        return PLAIN
    return OpenRange(args[-1])


def _float(run: Run, *args: Any) -> Any:
    if len(args) != 1 or not _is_one_number(args[0]):
        return PLAIN
    made = SymbolicArray(run, (), as_array(run, args[0]).formula)
    made.is_number = True
    return made


def _int(run: Run, *args: Any) -> Any:
    if len(args) != 1 or not _is_one_number(args[0]):
        return PLAIN
    number = args[0]
    return number if isinstance(number, Size) or number.kind == "int" else PLAIN


def _is_one_number(value: Any) -> bool:
    is_number = isinstance(value, SymbolicArray) and not value.axes and not value.is_mask
    return isinstance(value, Size) or is_number


MODELS: dict[str, Callable[..., Any]] = {
    "zeros": _filled(ZERO),
    "ones": _filled(ONE),
    "empty": _empty,
    "full": _full,
    "zeros_like": _like(_filled(ZERO)),
    "ones_like": _like(_filled(ONE)),
    "empty_like": _like(_empty),
    "full_like": _like(_full),
    "eye": _eye,
    "identity": _identity,
    "tri": _tri,
    "arange": _arange,
    "array": _array,
    "asarray": _asarray,
    "asanyarray": _asarray,
    "ascontiguousarray": _ascontiguousarray,
    "len": _len,
    "range": _range,
    "float": _float,
    "int": _int,
    "prod": _prod,
}
"""What stands for the functions that `backprop_lib.proof.creators` watches."""
