"""What the engines do not follow is refused by name, never guessed."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn, TypeVar

import numpy as np

from backprop_lib.proof.hints import not_followed
from backprop_lib.proof.lines import Line, line_raised, line_within
from backprop_lib.proof.python_math import followed_functions

Result = TypeVar("Result")
NO_METHOD = re.compile(r"has no callable (\w+) method|ufunc '(\w+)' not supported")

SHORT = 6
"""A float of at most so many decimal digits is taken for the decimal that it is written as."""


class NotFollowedError(TypeError):
    """The code does something that an engine has no exact meaning for."""

    def __init__(self, reason: str, line: Line | None = None):
        super().__init__(reason)
        self.line = line


class MismatchError(ValueError):
    """Two axes that do not fit together for all sizes."""

    line: Line | None = None
    """Where they meet."""


class CodeError(Exception):
    """An exception of the code that is judged."""

    def __init__(self, error: Exception):
        super().__init__(str(error))
        self.error = error
        self.line = line_raised(error)


class DisagreementError(AssertionError):
    """Two engines contradict each other: an error of this library, or code that looks who asks."""


def fraction(number: Any) -> Fraction:
    """Return a number as a fraction; a float of a few digits, such as 0.1, as that decimal.

    Raises
    ------
    NotFollowedError
        If it is a float of many digits, the result of some rounding, or no rational number.
    """
    if isinstance(number, int | np.integer | np.bool_):
        return Fraction(int(number))
    if isinstance(number, Fraction):
        return number
    if isinstance(number, float | np.floating) and np.isfinite(number):
        if len(Decimal(written(number)).normalize().as_tuple().digits) <= SHORT:
            return Fraction(written(number))
        if Fraction(float(number)).denominator <= 2 ** (2 * SHORT):
            return Fraction(float(number))
        raise NotFollowedError(
            f"computes with the float {float(number)!r}, which is rounded; divide integers "
            "instead, or pass it in const"
        )
    if getattr(number, "is_Rational", False):  # SymPy's
        return Fraction(int(number.p), int(number.q))
    raise NotFollowedError(f"computes with {number!r}, which is no exact number")


def decimal(number: float) -> Fraction:
    """Return the decimal that a float is written as: 1e-5 is 1/100000."""
    return Fraction(written(number))


def written(number: Any) -> str:
    """Return a float as it is written: np.float32(0.1) as 0.1."""
    return str(number) if isinstance(number, np.float32) else repr(float(number))


class Refusals:
    """What a run has refused; only the first is told."""

    def __init__(self) -> None:
        self.refused: str | None = None
        self.line: Line | None = None
        """Where that stands."""

    def note(self, reason: str) -> None:
        """Note what is not followed, where an exception would be swallowed."""
        if self.refused is None:
            self.refused, self.line = reason, line_of_code()

    def refuse(self, reason: str) -> NoReturn:
        """Say that the code does something that is not followed.

        It is noted as well, for code (NumPy's too) that catches the exception and goes on.
        """
        self.note(reason)
        raise NotFollowedError(reason)


def followed(who: str, state: Refusals, call: Callable[[], Result]) -> Result:
    """Run code of the user's on numbers of ours.

    Raises
    ------
    NotFollowedError
        With the reason, if it did what is not followed, even where it caught our exception.
    CodeError
        If it fails for a reason of its own. An ArithmeticError or a ValueError is let through:
        it may be due to the numbers or the sizes.
    """
    try:
        with followed_functions():
            result = call()
    except NotFollowedError as error:
        raise _told(who, state, str(error), error.line or line_raised(error)) from None
    except (MismatchError, RecursionError):
        raise
    except Exception as error:
        if state.refused:  # NumPy has turned our exception into one of its own
            raise _told(who, state) from None
        missing = NO_METHOD.search(str(error))
        if isinstance(error, TypeError) and missing:
            name = missing[1] or missing[2]
            reason = not_followed(f"np.{name}" if hasattr(np, name) else name)
            raise _told(who, state, reason, line_raised(error)) from None
        if isinstance(error, ArithmeticError | ValueError):
            raise
        raise CodeError(error) from error
    if state.refused:
        raise _told(who, state)
    return result


def line_of_code() -> Line | None:
    """Return the line of the user's code that runs now, if `followed` runs it."""
    return line_within(followed.__code__)


def _told(
    who: str, state: Refusals, reason: str = "", line: Line | None = None
) -> NotFollowedError:
    """Return what is told of a refusal: what was noted first, or else the reason."""
    if state.refused:
        reason, line = state.refused, state.line
    return NotFollowedError(f"{who} {reason}", line)


@contextmanager
def errors_of_the_code() -> Iterator[None]:
    """Raise an error of the code that is judged as if nothing had been in between.

    Beside what is not followed stands where that is.
    """
    try:
        yield
    except CodeError as wrapped:
        raise wrapped.error from None
    except NotFollowedError as error:
        if error.line is not None:
            error.add_note(f"  {error.line}")
        raise
