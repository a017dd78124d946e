"""The one Sphinx extension of this book: every step that makes a website of it, in order."""

import functools
from collections.abc import Callable
from typing import Any

from sphinx.application import Sphinx

from website import (
    api_links,
    api_page,
    book_site,
    edition,
    finished_pages,
    formulas,
    headers,
    lite,
    live_cells,
    runtime,
    search,
    verdicts,
)

FINISHED = "build-finished"
STEPS: list[tuple[str, Callable[..., Any]]] = [
    # Before any page is read: the counts that pages name.
    ("config-inited", book_site.tell_counts),
    # The library's page: an entry for each module, and the shape table as its signature.
    ("source-read", api_page.list_modules),
    ("autodoc-process-signature", api_page.show_shapes),
    ("missing-reference", api_page.leave_axes),
    # Its links, once napoleon has made the docstrings reStructuredText.
    ("autodoc-process-docstring", api_links.link_equations),
    ("missing-reference", api_links.link_elsewhere),
    # Each page before it is written. The last two change what the theme has added: the rocket menu
    # is put before its buttons, and one of its scripts is left out.
    ("html-page-context", book_site.describe),
    ("html-page-context", edition.describe),
    ("html-page-context", live_cells.add_script),
    ("html-page-context", lite.add_rocket_menu),
    ("html-page-context", headers.drop_page_name),
    ("html-page-context", search.drop_marks),
    # The whole site. Live cells and JupyterLite name the runtime's folder, whose name comes from
    # what is in it.
    (FINISHED, formulas.copy_mathjax),
    (FINISHED, runtime.lay_out_in_site),
    (FINISHED, live_cells.lay_out),
    (FINISHED, lite.add_lite),
    (FINISHED, search.lay_out),
    # In place of the one that sphinx_external_toc has written.
    (FINISHED, book_site.write_front_door),
    # The headers hold hashes of the scripts in the pages: no page changes after that.
    (FINISHED, formulas.typeset_pages),
    (FINISHED, finished_pages.fix_pages),
    (FINISHED, edition.finish),
    (FINISHED, headers.write_headers),
]
"""Sphinx's events, and what is done at each; what stands first is done first."""
AFTER_ALL_OTHERS = 900
"""The priority of every step; the theme's are the latest of the others, at 501."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    formulas.write_for_mathjax(app)
    app.add_config_value("comments_config", {}, "html")  # Jupyter Book sets it in any case
    app.add_config_value("report_mistakes_to", "", "html")
    app.add_post_transform(verdicts.Boxes)
    app.add_post_transform(book_site.KeepPunctuation)
    for script in ("copy_formulas.js", "print.js", "wide_boxes.js"):
        app.add_js_file(script, type="module")
    for event, step in STEPS:
        call = if_a_website(step) if event == FINISHED else step
        app.connect(event, call, priority=AFTER_ALL_OTHERS)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def if_a_website(step: Callable[[Sphinx], None]) -> Callable[[Sphinx, Exception | None], None]:
    """Let a step be taken if the pages of a website are there: not of a book in another format."""

    @functools.wraps(step)
    def guarded(app: Sphinx, error: Exception | None) -> None:
        if error is None and app.builder.format == "html":
            step(app)

    return guarded
