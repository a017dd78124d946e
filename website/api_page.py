"""The page of the library: which modules stand on it, and their shape tables as signatures."""

import inspect
import re
from pathlib import Path
from typing import Any, get_args, get_origin

from docutils import nodes
from sphinx.application import Sphinx

from backprop_lib.shapes import Cache, shape_table

EVERY_MODULE = re.compile(r"^% every module of backprop_lib\.(\w+)$", re.MULTILINE)
ENTRY = """\
### {name}

```{{eval-rst}}
.. automodule:: backprop_lib.{folder}.{name}
   :members:
```
"""
AXIS = re.compile(r"(any_)?[A-Z](_\w+)?")
"""An axis in a signature, which Sphinx takes for the name of a class. ``any_L`` stands for *L."""


def list_modules(app: Sphinx, page: str, source: list[str]) -> None:
    """Put in place of the line "% every module of backprop_lib.ops" an entry for each of them."""
    root = Path(app.srcdir)

    def entries(match: re.Match[str]) -> str:
        names = modules(root, match[1])
        return "\n".join(ENTRY.format(folder=match[1], name=name) for name in names)

    source[0] = EVERY_MODULE.sub(entries, source[0])


def modules(root: Path, folder: str) -> list[str]:
    """Return the modules of a package in the order of their chapters."""
    contents = (root / "_toc.yml").read_text(encoding="utf8")
    chapters = re.findall(rf"chapters/{folder}/(\w+)", contents)
    names = {path.stem for path in (root / "backprop_lib" / folder).glob("[!_]*.py")}
    return [name for name in chapters if name in names] + sorted(names - set(chapters))


def show_shapes(
    app: Sphinx,
    what: str,
    name: str,
    thing: Any,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str, str | None] | None:
    """Write the shape table into a signature: forward(x: Array[N, C_in], W: Array[C_out, C_in])."""
    if what != "function" or signature is None or not shape_table(thing):
        return None
    found = inspect.signature(thing)
    for argument in shape_table(thing):
        shape = shape_of(found.parameters[argument].annotation)
        signature = re.sub(rf"\b{argument}\b", f"{argument}: {shape}", signature, count=1)
    return signature, shape_of(found.return_annotation)


def shape_of(annotation: Any) -> str | None:
    """Write an annotation in short: Array[N, C_in], or tuple[Array[N, C_out], Cache].

    In square brackets, since Sphinx takes the last parenthesis for the end of the arguments.
    """
    if annotation == Cache:
        return "Cache"
    if hasattr(annotation, "dim_str"):
        axes = annotation.dim_str.replace("*", "any_").split()
        return f"{annotation.array_type.__name__}[{', '.join(axes) or '()'}]"
    if get_origin(annotation) is tuple:
        return f"tuple[{', '.join(str(shape_of(part)) for part in get_args(annotation))}]"
    return None


def leave_axes(app: Sphinx, env: Any, node: nodes.Element, content: Any) -> Any:
    """Show an axis as it is, without a link."""
    name = node.get("reftarget", "")
    return nodes.Text(name.replace("any_", "*")) if AXIS.fullmatch(name) else None
