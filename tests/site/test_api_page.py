"""The page of the library: every module is on it, with its shape table as a signature."""

import inspect
import re
from html import unescape
from types import SimpleNamespace

import pytest
from conftest import BOOK, ROOT

from backprop_lib.layers import batchnorm1d, linear
from backprop_lib.ops import dropout, log_softmax_nll
from website.api_page import list_modules, modules, shape_of, show_shapes

PAGE = BOOK / "chapters" / "reference" / "api.html"


def signature(function, arguments):
    return show_shapes(None, "function", "", function, None, arguments, None)


@pytest.mark.parametrize(
    ("function", "arguments", "shown"),
    [
        (
            linear.forward,
            "(x, W, b)",
            (
                "(x: Array[N, C_in], W: Array[C_out, C_in], b: Array[C_out])",
                "tuple[Array[N, C_out], Cache]",
            ),
        ),
        (
            batchnorm1d.forward_evaluation,
            "(x, W, b, mean, var, eps=1e-05)",
            (
                "(x: Array[N, C, any_L], W: Array[C], b: Array[C], "
                "mean: Constant[C], var: Constant[C], eps=1e-05)",
                "tuple[Array[N, C, any_L], Cache]",
            ),
        ),
        (
            log_softmax_nll.backward,
            "(dy, log_p, t, reduction)",
            ("(dy: Array[()], log_p: Array[N, C], t: Labels[N], reduction)", "Array[N, C]"),
        ),
    ],
)
def test_a_shape_table_becomes_a_signature(function, arguments, shown):
    assert signature(function, arguments) == shown


def test_what_has_no_shape_table_is_left_alone():
    assert signature(dropout.draw_mask, "(shape, p, rng)") is None
    assert signature(linear.forward, None) is None
    assert show_shapes(None, "class", "", linear.forward, None, "(x, W, b)", None) is None
    assert shape_of(inspect.signature(dropout.draw_mask).return_annotation) is None


@pytest.fixture
def book(tmp_path):
    """Return a book of three ops, two of which have a chapter."""
    folder = tmp_path / "backprop_lib" / "ops"
    folder.mkdir(parents=True)
    for name in ("__init__", "_hidden", "bmm", "max", "new"):
        (folder / f"{name}.py").touch()
    (tmp_path / "_toc.yml").write_text("- file: chapters/ops/max\n- file: chapters/ops/bmm\n")
    return tmp_path


def test_modules_come_in_the_order_of_their_chapters_and_a_new_one_at_the_end(book):
    assert modules(book, "ops") == ["max", "bmm", "new"]


def test_a_line_stands_for_every_module_of_a_package(book):
    source = ["## Ops\n\n% every module of backprop_lib.ops\n\n## PointNet\n"]
    list_modules(SimpleNamespace(srcdir=book), "chapters/reference/api", source)
    assert re.findall("automodule:: (.*)", source[0]) == [
        f"backprop_lib.ops.{name}" for name in ("max", "bmm", "new")
    ]
    assert source[0].startswith("## Ops\n\n### max\n")
    assert source[0].endswith("\n\n## PointNet\n")


def test_every_layer_and_op_is_on_the_page_with_the_shapes_that_it_returns():
    page = PAGE.read_text(encoding="utf8")
    assert "any_" not in re.sub("<[^>]*>", "", page)
    for folder in ("layers", "ops"):
        found = modules(ROOT, folder)
        assert len(found) > 3
        for name in found:
            for function in ("forward", "backward"):
                identifier = f'id="backprop_lib.{folder}.{name}.{function}"'
                (entry,) = re.findall(f"<dt[^>]*{re.escape(identifier)}.*?</dt>", page, re.DOTALL)
                text = unescape(re.sub("<[^>]*>|\\s", "", entry))
                assert re.search(r"\(.*:Array\[.*\)→(tuple\[)?Array\[", text), identifier
