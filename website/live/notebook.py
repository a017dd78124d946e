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
import time
import traceback
from collections.abc import Callable, Collection
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

MOST_SHOWN = 200
"""How many values and figures a cell may show."""

MOST_RICH = 8_000_000
"""How many characters the forms of all these may take: some 50 figures."""

MOST_OF_ERROR = 20_000
"""How many characters are shown of an error."""

AT_ONCE = 1_000
"""How many printed lines go to the page one by one; of those after them, many go together."""

Output = dict[str, Any]
Send = Callable[[Output], None]


class Stream(io.TextIOBase):
    """Standard output or error of a cell: what is written goes to the page line by line."""

    def __init__(self, name: str, send: Send):
        self.name = name
        self.send = send
        self.other: Stream | None = None
        self.left = MOST
        self.held: list[str] = []
        self.pieces = 0
        """How often something was sent."""
        self.last = 0.0
        """When a whole line was last sent, in seconds."""

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
            if self.other:
                self.other.flush()
            self.held.append(shown)
            now = time.monotonic()
            if "\n" in shown and (self.pieces < AT_ONCE or now - self.last > 0.1):
                self.last = now
                self.flush()
        return len(text)

    def flush(self) -> None:
        """Send what is held."""
        if self.held:
            text = "".join(self.held)
            self.held.clear()
            self.pieces += 1
            self.send({"kind": "stream", "name": self.name, "text": text})


class Notebook:
    """The names that the cells of one page share, and the code of those that have run."""

    def __init__(self, send: Send):
        self._send = send
        # matplotlib tells that it looks for fonts, which it does each time: nothing is kept here.
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        self.names = vars(sys.modules["__main__"])
        self.at_first = dict(self.names) | {"display": self.display}
        builtins.input = no_input
        self.streams: tuple[Stream, ...] = ()
        self.forget()

    def forget(self) -> None:
        """Forget all that cells have defined."""
        self.names.clear()
        self.names.update(self.at_first)
        self.texts: dict[str, list[str]] = {}
        self.files: set[str] = set()
        self.shown = self.rich = 0

    def send(self, output: Output) -> None:
        """Send an output, after all that was printed before it."""
        for stream in self.streams:
            stream.flush()
        self._send(output)

    def run(self, source: str, name: str = "cell") -> bool:
        """Run a cell, which tracebacks call by its name; say whether it ran to its end."""
        file = self._file(source, name)
        self.shown = self.rich = 0
        before = sys.stdout, sys.stderr
        out, err = Stream("stdout", self._send), Stream("stderr", self._send)
        out.other, err.other = err, out
        self.streams = sys.stdout, sys.stderr = out, err
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
            self.send({"kind": "error", "text": format_error(error, self.files)})
            return False
        finally:
            for stream in self.streams:
                stream.flush()
            sys.stdout, sys.stderr = before
            self.streams = ()
        return True

    def _file(self, source: str, name: str) -> str:
        """Return what a cell is called: its name; if it has run with another text, the run, too.

        So functions that it defined then are still told by the text that they had. Code that is not
        the reader's has a name in angle brackets; no traceback begins there.
        """
        texts = self.texts.setdefault(name, [])
        if not texts or texts[-1] != source:
            texts.append(source)
        file = name if len(texts) == 1 else f"{name}, run {len(texts)}"
        if not name.startswith("<"):
            self.files.add(file)
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        return file

    def display(self, *values: Any) -> None:
        """Show values in the best form that each of them has, as long as there are not too many."""
        for value in values:
            if value is None:
                continue
            self.names["_"] = value
            self.shown += 1
            if self.shown > MOST_SHOWN:
                if self.shown == MOST_SHOWN + 1:
                    self._note(f"only the first {MOST_SHOWN} values of a cell are shown")
                continue
            form = form_of(value)
            self.rich += len(form["data"])
            if self.rich > MOST_RICH:
                self.shown = MOST_SHOWN + 1
                self._note(f"this value and those after it are not shown: {MOST_RICH} characters")
            else:
                self.send({"kind": "rich", **form})

    def _note(self, text: str) -> None:
        self.send({"kind": "stream", "name": "stdout", "text": f"... ({text})\n"})

    def show_figures(self) -> None:
        """Show the figures that a cell has drawn with pyplot, and close them."""
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        for number in pyplot.get_fignums() if pyplot else ():
            self.display(pyplot.figure(number))
            pyplot.close(number)


def no_input(prompt: object = "") -> str:
    """Tell that nothing can be typed in while code runs."""
    raise RuntimeError(
        "input() is not here: nothing can be typed in while a cell runs. Write the value into the "
        "cell instead."
    )


def shortened(text: str, most: int) -> str:
    """Return a text, without its middle if it is too long."""
    if len(text) <= most:
        return text
    left = len(text) - most
    return f"{text[: most // 2]}\n... ({left} characters are left out)\n{text[-(most // 2) :]}"


def form_of(value: Any) -> Output:
    """Return the best form of a value that it has, and its text."""
    text = shortened(repr(value), MOST)
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


def format_error(error: BaseException, files: Collection[str]) -> str:
    """Return a traceback that begins in the reader's code; of an error elsewhere, what it says."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename not in files:
        frames = frames.tb_next
    shown = traceback.TracebackException(type(error), error, frames)
    return shortened("".join(shown.format()), MOST_OF_ERROR)


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
