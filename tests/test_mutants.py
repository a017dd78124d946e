"""A sample of the mutants that make mutants tries in full: the prover proves none of them."""

import pytest
from conftest import ROOT
from mutants import Mutant, is_proven, modules, mutants

FIXTURES = sorted((ROOT / "tests" / "proof" / "fixtures").glob("[!_]*.py"))
SHAPES = {"batchnorm1d": {"x": "N C L"}, "batchnorm1d_relu": {"x": "N C L"}}
SAMPLE = 8
# Changes that change nothing: a vector turned, an array of shape (1, C, 1) turned, zeros
# multiplied, the number of axes of another array, a sum of a turned array over all axes but the
# middle one.
EQUIVALENT = {
    "batchnorm1d": ("W -> W.T", "r -> r.T", "line 23: dy -> ", "line 24: dy -> "),
    "batchnorm1d_relu": ("W -> W.T", "r -> r.T"),
    "conv1d": ("line 15: dy -> dy.T",),
    "max": ("np.zeros_like(x) -> dx = ",),
}


def sampled(path):
    """Take mutants from all over the module, always the same ones."""
    everyone = mutants(path.read_text(encoding="utf8"))
    step = max(1, len(everyone) // SAMPLE)
    return everyone[::step]


CASES = [(path, mutant) for path in [*modules(), *FIXTURES] for mutant in sampled(path)]


@pytest.mark.parametrize("path", [*modules(), *FIXTURES], ids=lambda path: path.stem)
def test_there_are_many_mutants_and_the_module_itself_is_proven(path):
    source = path.read_text(encoding="utf8")
    found = mutants(source)
    assert len(found) >= 12
    assert len({mutant.source for mutant in found}) == len(found)
    unchanged = Mutant("nothing", source)
    assert is_proven(unchanged, **SHAPES.get(path.stem, {}))


@pytest.mark.parametrize(
    ("path", "mutant"), CASES, ids=[f"{path.stem}: {mutant.what}" for path, mutant in CASES]
)
def test_no_mutant_is_proven(path, mutant):
    is_equivalent = any(change in mutant.what for change in EQUIVALENT.get(path.stem, ()))
    assert is_proven(mutant, **SHAPES.get(path.stem, {})) == is_equivalent
