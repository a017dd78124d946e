"""Outputs that ask other hosts: nothing is fetched, even on a host that sends no headers.

What code computes could leave in the address of a picture. The headers of the site forbid it, but
many hosts send none; so the page itself lets no such output through.
"""

import json

import pytest
from conftest import START, make_live
from playwright.sync_api import expect
from test_your_gradient import ask, write

CHAPTER = "chapters/layers/linear"
OTHER = "http://other.example"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'
BOX = '<div style="width: 9px; height: 9px; {}">.</div>'
RECT = '<rect width="9" height="9" {}/>'

MARKDOWN = {
    "image": "![x](HOST/image)",
    "image-by-reference": "![x][leak]\n\n[leak]: HOST/image-by-reference",
    "image-without-scheme": "![x](//HOSTNAME/image-without-scheme)",
    "html-in-markdown": "<img src='HOST/html-in-markdown'>",
    "style-in-markdown": "<style>p { background: url(HOST/style-in-markdown) }</style>",
}
FORMULAS = {
    "glyph": r"\mmlToken{mglyph}[src='HOST/glyph', alt='x']{}",
    "cursor": r"\style{cursor: url(HOST/cursor), auto}{x}",
    "background": r"\style{background: url(HOST/background)}{x}",
    "bbox": r"\bbox[background-image: url(HOST/bbox)]{x}",
    "picture": r"\includegraphics{HOST/picture}",
}
HTML = {
    "img": "<img src='HOST/img'>",
    "img-without-scheme": "<img src='//HOSTNAME/img-without-scheme'>",
    "img-with-backslashes": r"<img src='\\HOSTNAME/img-with-backslashes'>",
    "srcset": "<img srcset='HOST/srcset 1x'>",
    "picture-source": "<picture><source srcset='HOST/picture-source'><img></picture>",
    "poster": "<video poster='HOST/poster'></video>",
    "video": "<video src='HOST/video' preload='auto' autoplay></video>",
    "audio": "<audio src='HOST/audio' preload='auto' autoplay></audio>",
    "track": "<video><track src='HOST/track' default></video>",
    "background-attribute": "<table background='HOST/background-attribute'><tr><td>.</table>",
    "input": "<input type='image' src='HOST/input'>",
    "frame": "<iframe src='HOST/frame'></iframe>",
    "object": "<object data='HOST/object'></object>",
    "embed": "<embed src='HOST/embed'>",
    "stylesheet": "<link rel='stylesheet' href='HOST/stylesheet'>",
    "preload": "<link rel='prefetch' href='HOST/preload'>",
    "refresh": "<meta http-equiv='refresh' content='0;url=HOST/refresh'>",
    "import": "<p>.</p><style>@import 'HOST/import';</style>",
    "style-element": "<p>.</p><style>p { background: url(HOST/style-element) }</style>",
    "font": "<p>.</p><style>@font-face { font-family: leak; src: url(HOST/font) } "
    "p { font-family: leak }</style>",
    "style-url": BOX.format("background: url(HOST/style-url)"),
    "style-escaped": BOX.format(r"background: \75 rl(HOST/style-escaped)"),
    "style-image-set": BOX.format("background: image-set(&quot;HOST/style-image-set&quot; 1x)"),
    "style-webkit-image-set": BOX.format(
        "background: -webkit-image-set(url(HOST/style-webkit-image-set) 1x)"
    ),
    "style-cross-fade": BOX.format(
        "background: -webkit-cross-fade(url(HOST/style-cross-fade), url(HOST/style-cross-fade), 9%)"
    ),
    "style-variable": BOX.format("--leak: url(HOST/style-variable); background: var(--leak)"),
    "style-fallback": BOX.format("background: var(--none, url(HOST/style-fallback))"),
    "style-border": BOX.format("border: 3px solid; border-image: url(HOST/style-border) 1"),
    "style-list": "<ul><li style='list-style: url(HOST/style-list)'>.</ul>",
    "style-content": "<p style='content: url(HOST/style-content)'>.</p>",
    "style-cursor": BOX.format("cursor: url(HOST/style-cursor), auto"),
    "style-mask": BOX.format("-webkit-mask: url(HOST/style-mask); mask: url(HOST/style-mask)"),
    "style-shape": BOX.format("float: left; shape-outside: url(HOST/style-shape)"),
}
DRAWINGS = {
    "svg-image": "<image href='HOST/svg-image' width='9' height='9'/>",
    "svg-image-xlink": "<image xlink:href='HOST/svg-image-xlink' width='9' height='9'/>",
    "svg-use": "<use href='HOST/svg-use#a'/>",
    "svg-fe-image": "<filter id='f'><feImage href='HOST/svg-fe-image'/></filter>"
    + RECT.format("filter='url(#f)'"),
    "svg-fill": RECT.format("fill='url(HOST/svg-fill#a)'"),
    "svg-filter": RECT.format("filter='url(HOST/svg-filter#a)'"),
    "svg-mask": RECT.format("mask='url(HOST/svg-mask#a)'"),
    "svg-clip": RECT.format("clip-path='url(HOST/svg-clip#a)'"),
    "svg-marker": "<path d='M0 0L9 9' stroke='red' marker-end='url(HOST/svg-marker#a)'/>",
    "svg-escaped": RECT.format(r"mask='\75 rl(HOST/svg-escaped#a)'"),
    "svg-cursor": RECT.format("cursor='url(HOST/svg-cursor), auto'"),
    "svg-style": "<style>rect { mask: url(HOST/svg-style#a) }</style>" + RECT.format(""),
    "svg-import": "<style>@import 'HOST/svg-import';</style>",
    "svg-animate": "<image width='9' height='9'><set attributeName='href' to='HOST/svg-animate'/>"
    "</image>",
    "svg-foreign": "<foreignObject width='9' height='9'><img src='HOST/svg-foreign'/>"
    "</foreignObject>",
}
OUTPUTS = [
    *(("markdown", kind, text) for kind, text in MARKDOWN.items()),
    *(("latex", kind, text) for kind, text in FORMULAS.items()),
    *(("html", kind, text) for kind, text in HTML.items()),
    *(("svg", kind, SVG.format(text)) for kind, text in DRAWINGS.items()),
]
AS_MARKDOWN = [
    *OUTPUTS,
    *(("markdown", kind, f"$${text}$$") for kind, text in FORMULAS.items()),
    *(("markdown", kind, text) for kind, text in HTML.items()),
]
CODE = """
import json


class Output:
    def __init__(self, form, made):
        setattr(self, f"_repr_{form}_", lambda: made)


for form, made in json.loads(OUTPUTS):
    display(Output(form, made))
"""


def code_for(outputs):
    """Return code that displays outputs."""
    made = [
        (form, text.replace("HOSTNAME", OTHER.removeprefix("http://")).replace("HOST", OTHER))
        for form, _, text in outputs
    ]
    return CODE.replace("OUTPUTS", repr(json.dumps(made)))


@pytest.fixture
def bare(browser, bare_address):
    """A page of a host that sends no headers, and what other hosts are asked for."""
    context = browser.new_context()
    asked = []

    def answer(route):
        asked.append(route.request.url.removeprefix(f"{OTHER}/"))
        route.fulfill(status=200, headers={"Access-Control-Allow-Origin": "*"}, body="")

    context.route(lambda url: not url.startswith((bare_address, "data:", "blob:")), answer)
    yield context.new_page(), bare_address, asked
    context.close()


def could_ask(page):
    """Ask another host from the page itself: nothing but the page holds outputs back."""
    page.evaluate("address => fetch(address)", f"{OTHER}/the-page-could")
    return "the-page-could"


def links(place):
    """Return the addresses of all links in a place."""
    return place.locator("a").evaluate_all(
        "all => all.map((a) => a.getAttribute('href') ?? a.getAttribute('xlink:href') ?? '')"
    )


def test_no_output_of_the_workbench_asks_another_host_or_links_there(bare):
    page, address, asked = bare
    page.goto(f"{address}chapters/your_gradient.html")
    allowed = [could_ask(page)]
    shown = [*AS_MARKDOWN, ("markdown", "link", f"[x]({OTHER}/link), <{OTHER}/auto> [here](#a)")]
    shown.append(("markdown", "formula", rf"$\href{{{OTHER}/formula}}{{x}}$ **the last**"))
    write(page, code_for(shown), 'x="N"')
    _, result = ask(page)
    expect(result.locator("strong")).to_have_text("the last")
    expect(result.locator("mjx-container").last).to_be_visible()
    page.wait_for_timeout(1000)  # what is fetched late
    assert asked == allowed
    assert result.locator("img, image, style, svg:not(mjx-container svg)").count() == 0
    assert {link for link in links(result) if not link.startswith("#")} == set()
    assert "#a" in links(result)


def test_no_output_of_a_live_page_asks_another_host(bare):
    page, address, asked = bare
    page.goto(f"{address}{CHAPTER}.html")
    allowed = [could_ask(page)]
    make_live(page)
    shown = [*AS_MARKDOWN, ("markdown", "link", f"[x]({OTHER}/link) **the last**")]
    cell = page.locator("div.cell").first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code_for(shown))
    cell.get_by_role("button", name="Run").click()
    result = cell.locator(".cell_output")
    expect(result.locator("strong")).to_have_text("the last", timeout=START)
    page.wait_for_timeout(1000)
    assert asked == allowed
    (link,) = result.locator("a", has_text="x").all()
    assert link.get_attribute("href") == f"{OTHER}/link"
    assert link.get_attribute("rel") == "noreferrer noopener"
