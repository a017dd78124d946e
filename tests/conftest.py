"""Where things are, and which examples Hypothesis tries."""

from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# The same examples each time, however slow the machine: a failure here is a failure anywhere.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")
