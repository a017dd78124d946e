"""Run the cells of a page, in the reader's browser.

What a notebook's kernel does, as far as this book needs it: a cell's last expression is shown, what
it prints arrives line by line, an error ends it with a traceback. No magics, and no history.
"""

import ast
import base64
import builtins
import io
import linecache
import logging
import symtable
import sys
import traceback
from collections.abc import Callable
from typing import Any

RICH = {
    "text/html": "_repr_html_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
}
"""The forms that a page can show, the best one first, and the method that makes each."""

MOST = 100_000
"""How many characters a cell may print; a page that is given more can no longer be read."""

Output = dict[str, Any]
Send = Callable[[Output], None]


class Stream(io.TextIOBase):
    """Standard output or error of a cell: what is written goes to the page at once."""

    def __init__(self, name: str, send: Send):
        self.name = name
        self.send = send
        self.left = MOST

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Send a text, as long as there have not been too many."""
        shown = text[: self.left]
        if self.left and len(text) >= self.left:
            shown += f"\n... (only the first {MOST} characters are shown)\n"
        self.left -= min(len(text), self.left)
        if shown:
            self.send({"kind": "stream", "name": self.name, "text": shown})
        return len(text)


class Notebook:
    """The names that the cells of one page share, and the code of those that have run."""

    def __init__(self, send: Send):
        self.send = send
        # matplotlib tells that it looks for fonts, which it does each time: nothing is kept here.
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        self.names = vars(sys.modules["__main__"])
        self.at_first = dict(self.names) | {"display": self.display}
        self.forget()

    def forget(self) -> None:
        """Forget all that cells have defined."""
        self.names.clear()
        self.names.update(self.at_first)
        self.count = 0

    def run(self, source: str) -> bool:
        """Run a cell; say whether it ran to its end."""
        self.count += 1
        file = f"cell [{self.count}]"
        lines = source.splitlines(keepends=True)
        linecache.cache[file] = (len(source), None, lines, file)
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = Stream("stdout", self.send), Stream("stderr", self.send)
        try:
            body = ast.parse(source, file).body
            last = body[-1].value if body and isinstance(body[-1], ast.Expr) else None
            module = ast.Module(body[:-1] if last else body, type_ignores=[])
            exec(compile(module, file, "exec"), self.names)
            if last:
                value = eval(compile(ast.Expression(last), file, "eval"), self.names)
                if not source.rstrip().endswith(";"):
                    self.display(value)
            self.show_figures()
        except BaseException as error:
            self.send({"kind": "error", "text": format_error(error)})
            return False
        finally:
            sys.stdout, sys.stderr = streams
        return True

    def display(self, *values: Any) -> None:
        """Show values in the best form that each of them has."""
        for value in values:
            if value is not None:
                self.names["_"] = value
                self.send({"kind": "rich", **form_of(value)})

    def show_figures(self) -> None:
        """Show the figures that a cell has drawn with pyplot, and close them."""
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        for number in pyplot.get_fignums() if pyplot else ():
            self.display(pyplot.figure(number))
            pyplot.close(number)


def form_of(value: Any) -> Output:
    """Return the best form of a value that it has, and its text."""
    text = repr(value)
    for mime, method in RICH.items():
        made = _made(value, method)
        if made is not None:
            data = base64.b64encode(made).decode() if isinstance(made, bytes) else str(made)
            return {"mime": mime, "data": data, "text": text}
    return {"mime": "text/plain", "data": text, "text": text}


def _made(value: Any, method: str) -> Any:
    if isinstance(value, type):
        return None
    if method == "_repr_png_" and _is_figure(value):
        picture = io.BytesIO()
        value.savefig(picture, format="png", bbox_inches="tight", dpi=144)
        return picture.getvalue()
    make = getattr(value, method, None)
    return make() if callable(make) else None


def _is_figure(value: Any) -> bool:
    figure = sys.modules.get("matplotlib.figure")
    return figure is not None and isinstance(value, figure.Figure)


def format_error(error: BaseException) -> str:
    """Return a traceback that begins at the reader's cell."""
    frames = error.__traceback__
    while frames is not None and not frames.tb_frame.f_code.co_filename.startswith("cell ["):
        frames = frames.tb_next
    shown = traceback.TracebackException(type(error), error, frames)
    return "".join(shown.format())


def needed(cells: list[str], wanted: int, ran: list[int]) -> list[int]:
    """Return the cells above a cell that have to run before it, in their order.

    Those which give it a name that it uses, those which give them theirs, and so on. `ran` are the
    cells that have run as they are; they are not run again.
    """
    found: set[int] = set()
    waiting = [wanted]
    while waiting:
        cell = waiting.pop()
        for name in names_used(cells[cell]):
            giver = next(
                (i for i in reversed(range(cell)) if name in names_defined(cells[i])), None
            )
            if giver is not None and giver not in found and giver not in ran:
                found.add(giver)
                waiting.append(giver)
    return sorted(found)


def names_used(source: str) -> set[str]:
    """Return the names that a cell takes from outside of itself."""
    taken: set[str] = set()
    own: set[str] = set()
    for statement in _statements(source):
        taken |= _referenced(statement) - own
        own |= names_defined(statement)
    return {name for name in taken if not hasattr(builtins, name)}


def names_defined(source: str) -> set[str]:
    """Return the names that a cell gives to those below it."""
    return {
        symbol.get_name()
        for statement in _statements(source)
        for symbol in symtable.symtable(statement, "cell", "exec").get_symbols()
        if symbol.is_assigned() or symbol.is_imported()
    }


def _statements(source: str) -> list[str]:
    try:
        return [ast.unparse(statement) for statement in ast.parse(source).body]
    except SyntaxError:
        return []


def _referenced(statement: str) -> set[str]:
    """Return the names that a statement uses and that are not local to a function in it."""
    names: set[str] = set()
    waiting = [symtable.symtable(statement, "cell", "exec")]
    while waiting:
        table = waiting.pop()
        waiting += table.get_children()
        names |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module")
        }
    return names
