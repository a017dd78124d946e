"""Where things are, and the scripts and the site's extension as modules."""

import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "site")]

# The same examples each time, however slow the machine: a failure here is a failure anywhere.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")
