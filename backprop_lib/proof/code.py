"""The code that is judged, without running it: its functions, its numbers, and what it keeps."""

import builtins
import dis
import functools
import inspect
import itertools
import random
import types
from collections import deque
from collections.abc import Collection, Iterator
from fractions import Fraction
from itertools import chain, pairwise
from typing import Any

import numpy as np

from backprop_lib.models import Place, leaves
from backprop_lib.proof.lines import STANDARD, Line, is_of_others

LARGEST = 10**6
DEPTH = 4
LIBRARY = ("numpy", "sympy", "scipy", "backprop_lib", "jaxtyping", "beartype")
"""What objects of these keep is not looked at."""
LOOKING = frozenset(
    (
        *("type", "hasattr", "getattr", "vars", "dir", "id", "repr", "hash", "memoryview"),
        *("__class__", "__dict__", "_getframe", "currentframe", "catch_warnings"),
        *("result_type", "can_cast", "issubdtype", "suppress", "itemsize"),
        *("__doc__", "__array_priority__", "__init__", "__qualname__", "__name__"),
    )
)
"""Names with which code looks at what an array is, or who calls, rather than computes with it."""
LOOKING_MODULES = ("inspect", "traceback", "gc")
COMPARING = ("COMPARE_OP", "IS_OP", "CONTAINS_OP")
NEAR = 4
"""A dtype that is compared is loaded so many instructions before, at most."""


def functions_of(*given: Any) -> list[types.FunctionType]:
    """Return the functions that are judged, and those of their own that they call by name.

    Methods, objects that can be called, partial functions and wrappers are looked into.
    """
    found: dict[int, types.FunctionType] = {}
    seen: set[Any] = set()
    left = list(given)
    while left:
        value = left.pop()
        if _key(value) in seen:
            continue
        seen.add(_key(value))
        if isinstance(value, types.FunctionType):
            left.append(getattr(value, "__wrapped__", None))
            if not is_of_others(value.__code__.co_filename):
                found[id(value)] = value
                left += _used(value)
        elif isinstance(value, functools.partial):
            left += [value.func, *value.args, *value.keywords.values()]
        elif isinstance(value, types.MethodType):
            left += [value.__func__, value.__self__, *_methods_called(value)]
        elif not isinstance(value, type | types.ModuleType) and hasattr(value, "__dict__"):
            left += [getattr(type(value), "__call__", None)]  # noqa: B004
            left += [part for part in vars(value).values() if callable(part)]
    return list(found.values())


def modules_of(functions: list[types.FunctionType]) -> list[types.ModuleType]:
    """Return the modules that functions use by name, but for those of libraries."""
    return [
        value
        for function in functions
        for value in _used(function)
        if isinstance(value, types.ModuleType)
        and not value.__name__.startswith(LIBRARY)
        and not is_of_others(getattr(value, "__file__", None) or STANDARD)
    ]


def _key(value: Any) -> Any:
    """Return what is the same for the same value; a method is made anew each time it is asked."""
    is_method = isinstance(value, types.MethodType)
    return (id(value.__func__), id(value.__self__)) if is_method else id(value)


def _methods_called(method: types.MethodType) -> Iterator[Any]:
    """Yield the methods that a method may call: of its object, and of what that holds."""
    code = getattr(inspect.unwrap(method.__func__), "__code__", None)
    names = [name for part in _codes(code) for name in part.co_names] if code else []
    left = [(method.__self__, DEPTH)]
    seen: set[int] = set()
    while left:
        value, depth = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list | tuple):
            left += [(part, depth - 1) for part in value if depth]
        elif isinstance(value, dict):
            left += [(part, depth - 1) for part in value.values() if depth]
        elif isinstance(value, types.FunctionType | types.MethodType | functools.partial):
            yield value
        elif hasattr(value, "__dict__"):
            of = value if isinstance(value, type) else type(value)
            if (of.__module__ or "").startswith(LIBRARY):
                continue
            for name in {*names, "__call__"}:
                found = inspect.getattr_static(of, name, None)
                function = getattr(found, "fget", None) or getattr(found, "__func__", found)
                if isinstance(function, types.FunctionType):
                    yield types.MethodType(function, value)
            if not isinstance(value, type):
                left += [(part, depth - 1) for part in vars(value).values() if depth]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _used(function: types.FunctionType) -> list[Any]:
    """Return what a function uses that is neither an argument nor its own: by name, or enclosed."""
    names = {
        instruction.argval
        for code in _codes(function.__code__)
        for instruction in dis.get_instructions(code)
        if instruction.opname == "LOAD_GLOBAL"
    }
    used = [function.__globals__[name] for name in sorted(names) if name in function.__globals__]
    for cell in function.__closure__ or ():
        try:
            used.append(cell.cell_contents)
        except ValueError:  # not bound yet
            continue
    return [*used, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]


def _kept_by(*given: Any) -> Iterator[Any]:
    """Yield what objects, methods and partial functions hold."""
    for value in given:
        if isinstance(value, functools.partial):
            yield from _kept_by(value.func, *value.args, *value.keywords.values())
        elif isinstance(value, types.MethodType):
            yield value.__self__
        elif not isinstance(value, types.FunctionType):
            yield value


def numbers_in(functions: list[types.FunctionType]) -> list[Fraction]:
    """Return the numbers that stand in the code: where something special may happen."""
    found: dict[Fraction, None] = {}
    constants = [
        constant
        for function in functions
        for code in _codes(function.__code__)
        for constant in code.co_consts
    ] + [value for function in functions for value in _used(function)]
    for constant in constants:
        is_number = isinstance(constant, int | float) and not isinstance(constant, bool)
        if is_number and abs(constant) <= LARGEST:  # NaN is not
            found[Fraction(repr(float(constant)))] = None
    return list(found)


def called_by(functions: list[types.FunctionType], names: Collection[str]) -> set[str]:
    """Return which global names the code calls, without those that it compares with `is`."""
    called, compared = set(), set()
    for function in functions:
        for code in _codes(function.__code__):
            instructions = list(dis.get_instructions(code))
            for this, following in pairwise(instructions):
                if this.opname == "LOAD_GLOBAL" and this.argval in names:
                    called |= {this.argval} if "NULL" in this.argrepr else set()
                    compared |= {this.argval} if following.opname == "IS_OP" else set()
    return called - compared


def where_it_looks(functions: list[types.FunctionType]) -> Line | None:
    """Return where the code asks what kind of array or number it is given, and may act on it.

    That is a call of type, hasattr and the like, a look into a dtype (to pass one on is not), `is`
    between two of its variables, as what a function returns may be its argument or a copy, or an
    exception that is caught: what fails for symbols need not fail for floats.
    """
    for function in functions:
        for code in _codes(function.__code__):
            instructions = list(dis.get_instructions(code))
            where = next(chain(_looks(instructions, function), _catches(instructions)), None)
            if where is not None:
                return Line.of(code, _number(instructions[instructions.index(where) :]))
    return None


def _number(instructions: list[dis.Instruction]) -> int | None:
    """Return the number of the line of the first of some instructions that has one."""
    lines = (one.positions.lineno for one in instructions if one.positions)
    return next(filter(None, lines), None)


def _catches(instructions: list[dis.Instruction]) -> Iterator[dis.Instruction]:
    """Yield what catches an exception, and does not leave a `with`."""
    for instruction, after in itertools.pairwise(instructions):
        if instruction.opname == "PUSH_EXC_INFO" and after.opname != "WITH_EXCEPT_START":
            yield instruction


def _looks(
    instructions: list[dis.Instruction], function: types.FunctionType
) -> Iterator[dis.Instruction]:
    """Yield what looks at the kind of an array."""
    for place, instruction in enumerate(instructions):
        name, is_attribute = instruction.argval, "ATTR" in instruction.opname
        if name in LOOKING and (is_attribute or "GLOBAL" in instruction.opname):
            own = function.__globals__.get(name, vars(builtins).get(name))
            if is_attribute or own is vars(builtins).get(name):
                yield instruction
        operands = instructions[max(0, place - 2) : place]
        if instruction.opname == "IS_OP" and _are_variables(operands):
            yield instruction
        if "GLOBAL" in instruction.opname:
            own = function.__globals__.get(name)
            if isinstance(own, types.ModuleType) and own.__name__ in LOOKING_MODULES:
                yield instruction
        if name == "dtype" and is_attribute:
            before = [i.argval for i in instructions[max(0, place - NEAR) : place]]
            if "str" in before or "format" in before:
                yield instruction
            for after in instructions[place + 1 : place + 1 + NEAR]:
                if after.opname in COMPARING or "ATTR" in after.opname or "METHOD" in after.opname:
                    yield instruction
                if "CALL" in after.opname or "STORE" in after.opname or "KW" in after.opname:
                    break


def _are_variables(operands: list[dis.Instruction]) -> bool:
    """Say whether neither of two operands is a constant, or a global name such as a class."""
    first, last = operands
    if "ATTR" in last.opname:
        return "GLOBAL" not in first.opname
    is_plain = last.opname.count("FAST") == 1
    return not (_is_known(last) or (is_plain and _is_known(first)))


def _is_known(operand: dis.Instruction) -> bool:
    return "CONST" in operand.opname or "GLOBAL" in operand.opname


def kept(functions: list[types.FunctionType], *given: Any) -> Any:
    """Return all that the code might remember between calls, for comparison with a later call."""
    state = np.random.get_state(legacy=True)  # noqa: NPY002  what np.random.rand draws from
    drawn = (state[1].tobytes(), state[2]) if isinstance(state, tuple) else ()
    values = [value for function in functions for value in _used(function)]
    held = [*values, *_kept_by(*given, *values), *(vars(function) for function in functions)]
    return [drawn, random.getstate(), *(_frozen(value, DEPTH) for value in held)]


def state_of(value: Any) -> dict[Place, Any]:
    """Return what an object holds, by its places, for comparison as in `kept`."""
    return {place: _frozen(part, DEPTH) for place, part in leaves(value)}


def _frozen(value: Any, depth: int) -> Any:
    """Return a snapshot of a value, which is equal to a later one if the value is unchanged."""
    if isinstance(value, np.ndarray):
        return (value.shape, value.tobytes()) if value.dtype != object else value.shape
    if isinstance(value, int | float | str | bytes | bytearray | None):
        return bytes(value) if isinstance(value, bytearray) else value
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state())
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, itertools.count):
        return repr(value)
    if isinstance(value, Iterator):
        return object()  # not to be looked into: never the same again
    if depth and isinstance(value, list | tuple | set | frozenset | deque):
        return [_frozen(part, depth - 1) for part in value]
    if depth and isinstance(value, dict):
        return [(str(key), _frozen(part, depth - 1)) for key, part in value.items()]
    if isinstance(value, types.ModuleType | types.BuiltinFunctionType | np.ufunc):
        return id(value)
    module = getattr(value, "__module__", None) or ""
    if depth and hasattr(value, "__dict__") and not module.startswith(LIBRARY):
        parts = {key: part for key, part in vars(value).items() if not key.startswith("__")}
        return _frozen(parts, depth - 1)
    return "something else"
