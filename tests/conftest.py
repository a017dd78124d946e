"""Where things are, which examples Hypothesis tries, and which tests of a new layer must wait."""

import re
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# The same examples each time, however slow the machine: a failure here is a failure anywhere.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")


def layers():
    """Return the names of what PyTorch is asked for: each layer, with the name of its variant."""
    return {
        path.stem + variant
        for folder in ("layers", "ops")
        for path in (ROOT / "backprop_lib" / folder).glob("[!_]*.py")
        for variant in re.findall(r"^def forward(\w*)\(", path.read_text("utf8"), re.MULTILINE)
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Skip a test that needs PyTorch's values of a layer, if they are not recorded yet.

    test_new_layer.py fails instead, once, and says what to do.
    """
    try:
        return (yield)
    except FileNotFoundError as error:
        asked = re.match("nothing is recorded for layer '(.*)'", str(error))
        if asked and asked[1] in layers():
            pytest.skip(f"{error}; run make record")
        raise
