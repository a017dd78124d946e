"""A listing is the function's own source, without decorator and docstring."""

import functools

import pytest

from backprop_lib.layers import linear
from backprop_lib.listing import listing


def decorated(function):
    return functools.wraps(function)(lambda *args: function(*args))


@decorated
def plain(x):
    """Not shown."""
    y = x + 1  # shown
    return y  # noqa: RET504


def test_shows_signature_and_body():
    assert repr(listing(plain)) == (
        "def plain(x):\n    y = x + 1  # shown\n    return y  # noqa: RET504"
    )


def test_renders_as_code():
    assert listing(plain)._repr_markdown_() == f"```python\n{listing(plain)!r}\n```"


def test_shows_what_runs():
    source = repr(listing(linear.backward))
    assert '"""' not in source
    assert "@shaped" not in source
    for line in ("dx = dy @ W", "dW = dy.T @ x", "db = dy.sum(axis=0)"):
        assert line in source


def test_refuses_what_no_def_made():
    with pytest.raises(TypeError):
        listing(len)
    square = lambda x: x * x  # noqa: E731
    with pytest.raises(TypeError, match="expected one that a def statement made"):
        listing(square)
