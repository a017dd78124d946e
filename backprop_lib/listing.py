"""Show a function's code in a chapter, from the module itself."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Listing:
    """Python source that a notebook renders as code."""

    source: str

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.source}\n```"

    def __repr__(self) -> str:
        return self.source


def listing(function: Callable[..., Any]) -> Listing:
    """Take a function's source as it is in its file, without decorator and docstring.

    Raises
    ------
    TypeError
        If `function` is not a function written in Python.
    OSError
        If its source is not to be found.
    """
    lines = textwrap.dedent(inspect.getsource(inspect.unwrap(function))).splitlines()
    definition = ast.parse("\n".join(lines)).body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise TypeError(f"function is {function!r}, expected one that a def statement made")
    if ast.get_docstring(definition) is not None:
        docstring = definition.body[0]
        del lines[docstring.lineno - 1 : docstring.end_lineno]
    return Listing("\n".join(lines[definition.lineno - 1 :]))
