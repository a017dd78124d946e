"""Export the handwritten digits of the book from scikit-learn's copy.

scikit-learn is no dependency of the book. To export again, in an environment of its own:

    pip install scikit-learn==1.9.1
    python scripts/export_digits.py            (--check compares with what is shipped)
"""

import argparse
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_digits

SHIPPED = Path(__file__).resolve().parent.parent / "backprop_lib" / "datasets" / "digits.npz"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold: the time of the export is not recorded."""


def export() -> dict[str, np.ndarray]:
    """Return images and labels in one byte per number, after a look that nothing is lost."""
    found = load_digits()
    arrays = {}
    for name, values in [("images", found.images), ("labels", found.target)]:
        arrays[name] = values.astype(np.uint8)
        if not np.array_equal(arrays[name], values):
            sys.exit(f"the {name} of scikit-learn {sklearn.__version__} are not bytes")
    return arrays


def as_npz(arrays: dict[str, np.ndarray]) -> bytes:
    """Return an npz file whose bytes depend on the arrays, and not on time or system."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", ZIP_EPOCH)
            member.create_system = 3
            contents = io.BytesIO()
            np.lib.format.write_array(contents, array, version=(1, 0), allow_pickle=False)
            archive.writestr(member, contents.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return target.getvalue()


def is_shipped(arrays: dict[str, np.ndarray]) -> bool:
    """Say whether the file holds these arrays; compressed bytes differ between zlib's versions."""
    with np.load(SHIPPED, allow_pickle=False) as shipped:
        return set(shipped.files) == set(arrays) and all(
            shipped[name].dtype == array.dtype and np.array_equal(shipped[name], array)
            for name, array in arrays.items()
        )


def main() -> None:
    """Write the file, or compare it with what scikit-learn has."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    arrays = export()
    if not check:
        SHIPPED.write_bytes(as_npz(arrays))
    elif not is_shipped(arrays):
        sys.exit(f"{SHIPPED.name} is not what scikit-learn {sklearn.__version__} has")
    print(f"{SHIPPED.name}: {'as shipped' if check else 'written'}, {SHIPPED.stat().st_size} bytes")


if __name__ == "__main__":
    main()
