"""Prove a backward pass, or refute it with a counterexample.

`prove_at` runs a layer's own code on symbols, at the sizes that you name, and compares every
entry of every gradient with the derivative that SymPy takes. `refute` does the same for a
formula of one gradient.
"""

from backprop_lib.proof.exact import prove_at, refute
from backprop_lib.proof.report import Counterexample, Report, Verdict

__all__ = ["Counterexample", "Report", "Verdict", "prove_at", "refute"]
