"""Put the files of Python for the browser into one archive, for machines that reach no source.

python scripts/runtime_archive.py ARCHIVE.zip

There it is unpacked, and PYODIDE_FILES set to the folder, before the book is built.
"""

import argparse
import os
import sys
import tempfile
import zipfile
from pathlib import Path

from website.runtime import LIST, cache, read_list, sources
from website.runtime_sources import RuntimeFilesError, collect, megabytes


def main() -> None:
    """Have every file in the cache, then write the archive; it is whole or not there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    archive = parser.parse_args().archive
    listed = read_list(LIST)
    try:
        collect(listed.files, sources(listed), cache(), lambda text: print(text, file=sys.stderr))
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent) as begun:
            path = Path(begun, archive.name)
            with zipfile.ZipFile(path, "w") as packed:
                for file in listed.files:
                    packed.write(cache() / file.sha256, file.name)
            os.replace(path, archive)
    except RuntimeFilesError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {archive} cannot be written ({error.strerror})")
    print(f"{archive}: {len(listed.files)} files, {megabytes(archive.stat().st_size)}")


if __name__ == "__main__":
    main()
