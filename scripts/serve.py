"""Serve the built book on this machine: claim the port, build, then answer.

python scripts/serve.py --port 8000 _build/html make book
"""

import argparse
import errno
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"


class Pages(SimpleHTTPRequestHandler):
    """Files as they are now: a rebuilt page is never hidden by the browser's cache."""

    def end_headers(self) -> None:
        """Tell the browser to ask for every file again."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is for the address and for errors."""


def main() -> None:
    """Claim the port before the build, so that a port in use is told at once."""
    parser = argparse.ArgumentParser(description="Build the book and serve it on this machine.")
    parser.add_argument("--port", default="8000")
    parser.add_argument("folder", help="the built book")
    parser.add_argument("build", nargs=argparse.REMAINDER, help="command that builds the book")
    arguments = parser.parse_args()

    if not arguments.port.isdecimal():
        sys.exit(f"error: port {arguments.port} is no number; for example, make serve PORT=8001")
    port = int(arguments.port)
    pages = partial(Pages, directory=arguments.folder)
    try:
        server = ThreadingHTTPServer((HOST, port), pages)
    except (OSError, OverflowError) as error:
        sys.exit(f"error: {_why(error, port)}")
    try:
        if arguments.build and subprocess.run(arguments.build, check=False).returncode:
            sys.exit("error: the book was not built; what is wrong stands above")
        address = f"http://{HOST}:{server.server_port}"
        print(f"\nThe book is at {address}   (stop with Ctrl+C)", flush=True)
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


def _why(error: Exception, port: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; take another one: make serve PORT={port + 1}"
    return f"port {port} cannot be used ({error}); take another one: make serve PORT=8001"


if __name__ == "__main__":
    main()
