"""Create the virtual environment of the Makefile and install requirement files into it.

python3 scripts/environment.py .venv requirements.txt ...

It keeps to the syntax of Python 3.6, so that an old Python can be told that it is too old.
"""

import os
import subprocess
import sys

OLDEST = (3, 11)
NETWORK_ERRORS = ("NewConnectionError", "NameResolutionError", "ConnectTimeout", "ProxyError")


def main(environment: str, *requirements: str) -> None:
    """Create `environment` if it is not there or does not run, and install `requirements`."""
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:3]))
        stop(
            f"Python 3.11 or newer is needed, and {sys.executable} is {version}. "
            "Name another one: make PYTHON=python3.12"
        )
    python = os.path.join(environment, "bin", "python")
    if not runs(python):
        create(environment)
    files = [part for file in requirements for part in ("-r", file)]
    # Python compiles what is imported, when it is; most of what is installed never is.
    command = ["install", "--disable-pip-version-check", "--no-compile", *files]
    install([python, "-m", "pip", *command])


def runs(python: str) -> bool:
    """Say whether `python` is there and starts, with pip."""
    command = [python, "-m", "pip", "--version"]
    silent = subprocess.DEVNULL
    try:
        return subprocess.run(command, stdout=silent, stderr=silent, check=False).returncode == 0
    except OSError:
        return False


def create(environment: str) -> None:
    """Create a virtual environment, in place of a broken one if there is one."""
    occupied = os.path.isdir(environment) and os.listdir(environment)
    if occupied and not os.path.isfile(os.path.join(environment, "pyvenv.cfg")):
        stop(f"{environment} holds other files and no virtual environment: name another VENV")
    try:
        import ensurepip  # noqa: F401 (Debian ships venv without it)
        import venv
    except ImportError:
        stop(
            f"{sys.executable} cannot create virtual environments: it has no venv module "
            "(on Debian and Ubuntu, apt install python3-venv)"
        )
    print(f"Creating {environment} with {sys.executable}", flush=True)
    venv.create(environment, with_pip=True, clear=True, symlinks=True)


def install(command: list) -> None:
    """Run pip, its progress visible; that there is no network is told in one line."""
    errors = []
    offline = False
    with subprocess.Popen(command, stderr=subprocess.PIPE, universal_newlines=True) as pip:
        for line in pip.stderr or []:
            if any(sign in line for sign in NETWORK_ERRORS):
                offline = True
            else:
                errors.append(line)
    if pip.returncode == 0:
        return
    if offline:
        stop("the packages cannot be downloaded: there is no network. Run the command again")
    stop("pip could not install the packages:\n" + "".join(errors))


def stop(why: str) -> None:
    """Leave with the reason on standard error."""
    sys.exit("error: " + why)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        stop("interrupted; run the command again")
