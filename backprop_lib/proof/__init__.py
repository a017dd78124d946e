"""Prove a backward pass for all sizes, or refute it with a counterexample.

`prove` runs a layer's own code on arrays whose sizes and entries are symbols, and compares every
gradient with the derivative of Σ dy·y. `refute` does the same for a formula of one gradient,
`prove_at` at sizes that you name, and `slopes` gives the exact slopes on both sides of a kink.
`grad` and `same` check a page's own formulas line by line, and `output` reads the formula that a
forward computes.
"""

from backprop_lib.proof.dual import slopes
from backprop_lib.proof.formulas import grad, output, same
from backprop_lib.proof.prover import prove, prove_at, refute
from backprop_lib.proof.refusal import DisagreementError
from backprop_lib.proof.report import Counterexample, Report, Verdict

__all__ = [
    "Counterexample",
    "DisagreementError",
    "Report",
    "Verdict",
    "grad",
    "output",
    "prove",
    "prove_at",
    "refute",
    "same",
    "slopes",
]
