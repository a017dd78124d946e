"""What is not followed, and the nearest thing to write in its place."""

from collections.abc import Callable
from typing import Any

import numpy as np

MEASURED = "gradcheck measures it"
"""What is said where there is nothing to write in its place."""
LEAVE = "leave that out"
ORDERED = "np.max, np.min and np.argmax are followed"
WHERE_IT_IS = "how many entries there are is not known; use np.where(mask, x, 0) or x[mask]"
ONE_BY_ONE = "use a loop over the axis, which is proven at some of its sizes"
WINDOWS = "use sliding_window_view(x, w.size) @ w"
WHOLE = "call the function for the whole array, with axis="
BROADCAST = "use x[:, None] and x[None], which broadcast"
NUMBERS = "leave it out: a proof is about real numbers"
TRIANGLE = "use np.tril or np.triu"
SPECTRUM = 'use a product with its matrix of cosines and sines, passed in as F="const K N"'
TWO_BY_TWO = "of 2 by 2, write it out: a * d - b * c"
RESHAPED = "use reshape"

INSTEAD = {
    **dict.fromkeys(("np.nonzero", "np.flatnonzero", "np.argwhere", ".nonzero"), WHERE_IT_IS),
    **dict.fromkeys(("np.extract", "np.compress", ".compress"), WHERE_IT_IS),
    **dict.fromkeys(("np.sort", "np.argsort", "np.partition", "np.argpartition"), ORDERED),
    **dict.fromkeys((".sort", ".argsort", ".partition", ".argpartition"), ORDERED),
    "np.unique": 'labels are given by their shape, as in t="N < C"',
    # products along an axis
    "np.correlate": WINDOWS,
    "np.convolve": "use sliding_window_view(x, w.size) @ w[::-1]",
    "np.cumprod": ONE_BY_ONE,
    ".cumprod": ONE_BY_ONE,
    "np.multiply.accumulate": ONE_BY_ONE,
    "np.add.accumulate": "use np.cumsum",
    "np.logaddexp.reduce": "use np.log(np.exp(x).sum(axis=...))",
    "np.trapezoid": "use a sum over (y[1:] + y[:-1]) / 2",
    "np.gradient": "use differences of slices, as in x[2:] - x[:-2]",
    "np.polyval": "write the polynomial out, as in (a * x + b) * x + c",
    "np.interp": "use np.where for each piece",
    "np.cross": "write its entries out, and join them with np.stack",
    "np.cov": "use x.T @ x, after the mean is subtracted",
    # numbers that are none
    "np.nan_to_num": "use formulas that are defined everywhere",
    **dict.fromkeys(("np.isnan", "np.isfinite", "np.isinf"), NUMBERS),
    **{f"np.nan{name}": f"use np.{name}" for name in ("sum", "mean", "var", "std", "max", "min")},
    **{f"np.nan{name}": f"use np.{name}" for name in ("cumsum", "argmax", "argmin", "prod")},
    "np.isclose": "compare with a number, as in np.abs(a - b) < 1e-8",
    **dict.fromkeys(("np.allclose", "np.array_equal"), "leave such a check out"),
    "np.signbit": "use x < 0",
    **dict.fromkeys(("np.any", ".any"), "use np.max(x, axis=...) > b for x > b"),
    **dict.fromkeys(("np.all", ".all"), "use np.min(x, axis=...) > b for x > b"),
    # functions of one number or two
    "np.cbrt": "use x ** (1 / 3), of positive numbers",
    "np.float_power": "use **",
    "np.fmax": "use np.maximum",
    "np.fmin": "use np.minimum",
    "np.arccos": "use np.pi / 2 - np.arcsin(x)",
    "np.arcsinh": "use np.log(x + np.sqrt(x * x + 1))",
    "np.arccosh": "use np.log(x + np.sqrt(x * x - 1))",
    "np.arctan2": "use np.arctan(a / b), where b is positive",
    "np.copysign": "use np.abs(a) * np.sign(b)",
    "np.sinc": "use np.sin(np.pi * x) / (np.pi * x)",
    **dict.fromkeys(("np.deg2rad", "np.radians"), "use x * (np.pi / 180)"),
    **dict.fromkeys(("np.rad2deg", "np.degrees"), "use x * (180 / np.pi)"),
    **dict.fromkeys(("np.real", ".real", ".conj"), "leave it out: x is real"),
    # matrices
    "np.linalg.inv": "of 2 by 2, write it out, with 1 / (a * d - b * c)",
    "np.linalg.det": TWO_BY_TWO,
    "np.linalg.multi_dot": "use @",
    "np.linalg.matrix_power": "use @",
    "np.vecdot": "use (a * b).sum(axis=-1)",
    "np.linalg.vecdot": "use (a * b).sum(axis=-1)",
    "np.linalg.vector_norm": "use np.linalg.norm",
    "np.matrix_transpose": "use np.swapaxes(x, -1, -2)",
    "np.linalg.matrix_transpose": "use np.swapaxes(x, -1, -2)",
    ".mT": "use np.swapaxes(x, -1, -2)",
    **dict.fromkeys(("np.fft.fft", "np.fft.rfft"), SPECTRUM),
    # entries, one by one and in parts
    "np.apply_along_axis": WHOLE,
    "np.apply_over_axes": WHOLE,
    **dict.fromkeys(("np.select", "np.piecewise", "np.choose"), "use np.where for each choice"),
    **dict.fromkeys(("np.place", "np.putmask"), "use x[mask] = number, or np.where"),
    "np.copyto": "use a[...] = b",
    "np.fill_diagonal": "use x * (1 - np.eye(N))",
    "np.delete": "join slices with np.concatenate",
    "np.insert": "join slices with np.concatenate",
    "np.block": "use np.concatenate",
    "np.meshgrid": BROADCAST,
    "np.rollaxis": "use np.moveaxis",
    "np.rot90": "use np.flip and a transpose",
    "np.resize": RESHAPED,
    ".flat": "use x.reshape(-1)",
    ".item": "leave it out: an array without axes is a number",
    ".tolist": "leave it out: arrays are added and multiplied as they are",
    **dict.fromkeys(("np.tril_indices_from", "np.triu_indices_from"), TRIANGLE),
}

PARTLY = {"np.where": WHERE_IT_IS}
"""The same for functions of which some calls are followed."""


def not_followed(name: str, of: str = "") -> str:
    """Say that a function is not followed, and what to write instead."""
    return f"uses {name}{of}, which is not followed; {INSTEAD.get(name, MEASURED)}"


def name_of(function: Callable[..., Any]) -> str:
    """Return a function's name as code has it: np.linalg.inv, or expit, which is not NumPy's."""
    name, module = function.__name__, getattr(function, "__module__", None)
    for prefix, place in (("np.linalg", np.linalg), ("np.fft", np.fft), ("np", np)):
        if getattr(place, name, None) is function and (place is np or module == place.__name__):
            return f"{prefix}.{name}"
    return name
