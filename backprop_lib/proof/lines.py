"""The line of the code that is judged at which something happens, for messages to name."""

import functools
import linecache
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from types import CodeType, ModuleType

import beartype
import jaxtyping
import numpy as np

HERE = Path(__file__).parent.parent
OTHERS = (
    *(str(HERE / f"{name}.py") for name in ("arguments", "shapes", "layer", "models")),
    *(str(HERE / f"{name}.py") for name in ("conventions", "draws")),
    *(f"{HERE / name}{os.sep}" for name in ("proof", "fast")),
    *(f"{Path(str(module.__file__)).parent}{os.sep}" for module in (np, jaxtyping, beartype)),
)
"""Where code stands that is not judged."""
STANDARD = f"{Path(functools.__file__).parent}{os.sep}"
MADE = ("<@beartype", "<frozen ")
"""How files are called that are none, and hold no code of the user's."""
LONGEST = 72
"""A longer line is cut off."""


def file_of(module: ModuleType) -> str:
    """Return what a module's code calls its file: the source, even where only bytecode is there."""
    name = str(module.__file__)
    return name.removesuffix("c") if name.endswith(".pyc") else name


def is_of_others(filename: str) -> bool:
    """Say whether the code in a file is not judged: ours, NumPy's, Python's own."""
    standard = filename.startswith(STANDARD) and "site-packages" not in filename
    return standard or filename.startswith((*OTHERS, *MADE))


@dataclass(frozen=True)
class Line:
    """A line of the code that is judged; its text is read when it is told."""

    file: str
    number: int
    function: str = ""
    """The function in which it stands, as far as that has a name."""

    @classmethod
    def of(cls, code: CodeType, number: int | None) -> "Line":
        """Return a line of a function; the first one if it is not known which."""
        parts = code.co_qualname.split(".<locals>.")
        named = [part for part in parts if not part.startswith("<")]
        name = named[-1] if named else ""
        return cls(code.co_filename, number or code.co_firstlineno, name)

    @property
    def place(self) -> str:
        """Where it stands: ``mine.py:12, in forward``, or ``line 12, in forward`` of no file."""
        at = f"line {self.number}"
        with suppress(OSError, ValueError):
            path = Path(self.file)
            if path.is_file():
                below = path.is_relative_to(Path.cwd())
                at = f"{path.relative_to(Path.cwd()) if below else path.name}:{self.number}"
        return f"{at}, in {self.function}" if self.function else at

    @property
    def source(self) -> str:
        """What stands there, or "" if that is not known."""
        text = ""
        with suppress(OSError, ValueError):
            text = linecache.getline(self.file, self.number).strip()
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"

    def __str__(self) -> str:
        return f"{self.place}: {self.source}" if self.source else self.place


def line_within(run: CodeType) -> Line | None:
    """Return the innermost line of the code that is judged, if `run` is what runs that code now."""
    found = None
    frame = sys._getframe(1)
    while frame.f_code is not run:
        if found is None and not is_of_others(frame.f_code.co_filename):
            found = frame
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None if found is None else Line.of(found.f_code, found.f_lineno)


def line_raised(error: BaseException) -> Line | None:
    """Return the innermost line of the code that is judged at which an exception was raised."""
    own = [
        (frame, number)
        for frame, number in walk_tb(error.__traceback__)
        if not is_of_others(frame.f_code.co_filename)
    ]
    return Line.of(own[-1][0].f_code, own[-1][1]) if own else None
