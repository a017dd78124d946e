"""Prove a backward pass for all sizes, or refute it with a counterexample.

`prove` runs a layer's own code on arrays whose sizes and entries are symbols, and compares every
gradient with the derivative of Σ dy·y. `refute` does the same for a formula of one gradient,
`prove_at` at sizes that you name, and `slopes` gives the exact slopes on both sides of a kink.
`grad` and `same` check a page's own formulas line by line, and `output` reads the formula that a
forward computes. The engines, and SymPy, are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backprop_lib.proof.dual import slopes
    from backprop_lib.proof.formulas import grad, output, same
    from backprop_lib.proof.prover import prove, prove_at, refute
    from backprop_lib.proof.refusal import DisagreementError
    from backprop_lib.proof.report import Counterexample, Report, Status, Verdict

_MODULES = {
    "slopes": "dual",
    **dict.fromkeys(["grad", "output", "same"], "formulas"),
    **dict.fromkeys(["prove", "prove_at", "refute"], "prover"),
    "DisagreementError": "refusal",
    **dict.fromkeys(["Counterexample", "Report", "Status", "Verdict"], "report"),
}

__all__ = [
    "Counterexample",
    "DisagreementError",
    "Report",
    "Status",
    "Verdict",
    "grad",
    "output",
    "prove",
    "prove_at",
    "refute",
    "same",
    "slopes",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
