"""A sample of the mutants that make mutants tries in full: the prover proves none of them."""

import pytest
from mutants import Mutant, is_proven, modules, mutants, why_equivalent

SAMPLE = 4
ALWAYS = "linear"
"""The module whose mutants make test judges, too."""


def sampled(path):
    """Take mutants from all over the module, always the same ones."""
    everyone = mutants(path.read_text(encoding="utf8"))
    step = max(1, len(everyone) // SAMPLE)
    return everyone[::step]


CASES = [(path, mutant) for path in modules() for mutant in sampled(path)]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_there_are_many_mutants_and_the_module_itself_is_proven(path):
    source = path.read_text(encoding="utf8")
    found = mutants(source)
    assert len(found) >= 7
    assert len({mutant.source for mutant in found}) == len(found)
    assert is_proven(Mutant("nothing", source), path.stem)


@pytest.mark.parametrize(
    ("path", "mutant"),
    [
        pytest.param(
            path,
            mutant,
            id=f"{path.stem}: {mutant.what}",
            marks=() if path.stem == ALWAYS else pytest.mark.thorough,
        )
        for path, mutant in CASES
    ],
)
def test_no_mutant_is_proven(path, mutant):
    assert is_proven(mutant, path.stem) == bool(why_equivalent(path.stem, mutant.what))
