"""Execute notebooks from the top and write them in the one form that the repository keeps.

python scripts/notebooks.py chapters/layers/linear.ipynb ...    (none named: all of them)
"""

import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "chapters"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def all_notebooks() -> list[Path]:
    """Return the path of every notebook of the book."""
    return sorted(p for p in CHAPTERS.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run every cell in a new kernel that starts in `folder`; an error stops, and is raised."""
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Drop what changes from run to run or editor to editor: times, versions, ids, folds."""
    clean: NotebookNode = nbformat.from_dict(notebook)
    clean.metadata = nbformat.from_dict(METADATA)
    clean.nbformat, clean.nbformat_minor = 4, 5
    for number, cell in enumerate(clean.cells):
        cell["id"] = f"cell-{number:02}"
        cell.source = "\n".join(line.rstrip() for line in cell.source.strip("\n").split("\n"))
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        cell.pop("attachments", None)
        if cell.cell_type == "code":
            cell.outputs = _merge_streams(cell.outputs)
    return clean


def _merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join pieces of one stream, which arrive cut at random."""
    merged: list[NotebookNode] = []
    for output in outputs:
        output.get("metadata", {}).clear()
        last = merged[-1] if merged else None
        if last and output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def to_text(notebook: NotebookNode) -> str:
    """Return the notebook as the text of its file."""
    text: str = nbformat.writes(notebook)
    return text.rstrip("\n") + "\n"


def volatile(notebook: NotebookNode) -> list[str]:
    """Return the parts of the outputs that will differ in another run, such as addresses."""
    signs = re.compile(r"0x[0-9a-f]{6,}|np\.float\d+\(|/(?:home|tmp|usr)/|\d+ [mµn]?s ± ")
    return [
        match.group()
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for match in signs.finditer(str(output.get("text", "")) + str(output.get("data", "")))
    ]


def main(names: list[str]) -> None:
    """Execute and rewrite the named notebooks, or all."""
    for path in map(Path, names) if names else all_notebooks():
        print(path, flush=True)
        notebook = nbformat.read(path, as_version=4)
        execute(notebook, path.parent)
        path.write_text(to_text(normalise(notebook)), encoding="utf8")


if __name__ == "__main__":
    main(sys.argv[1:])
