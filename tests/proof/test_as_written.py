"""prove takes forward and backward as people write them, and judges them all alike."""

import random
from functools import partial

import numpy as np
import pytest
from numpy.random import default_rng

from backprop_lib.layer import Layer
from backprop_lib.proof import Status, prove, prove_at, refute, slopes
from backprop_lib.proof.all_sizes import findings
from backprop_lib.proof.evidence import Answer
from backprop_lib.proof.task import Task

AXES = {"x": "N C", "W": "C D"}
HELD = "random numbers that forward draws are held fixed"


def product(x, W):
    return x @ W, {"x": x, "W": W}


def in_a_list(x, W):
    return x @ W, [x, W]


def in_a_tuple(x, W):
    return x @ W, (x, W)


def of_keywords(*, x, W):
    return x @ W, (x, W)


def of_positions(x, W, /):
    return x @ W, (x, W)


def closure(right):
    def forward(x, W):
        def backward(dy):
            return dy @ W.T, x.T @ dy if right else -x.T @ dy

        return x @ W, backward

    return forward


def of_dict(sign, dy, cache):
    return {"dx": dy @ cache["W"].T, "dW": sign * cache["x"].T @ dy}


def of_list(sign, dy, cache):
    return [dy @ cache[1].T, sign * cache[0].T @ dy]


def of_whole(sign, dy, cache):
    x, W = cache
    return dy @ W.T, sign * x.T @ dy


def of_parts(sign, dy, x, W):
    return dy @ W.T, sign * x.T @ dy


class Affine:
    sign = 1

    def __init__(self, W):
        self.W = W

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = self.sign * self.x.T @ dy
        return dy @ self.W.T


class WrongAffine(Affine):
    sign = -1


class Summing(Affine):
    def __init__(self, W):
        super().__init__(W)
        self.dW = np.zeros_like(W)

    def backward(self, dy):
        self.dW += self.sign * self.x.T @ dy
        return dy @ self.W.T


class WrongSumming(Summing):
    sign = -1


class InTables:
    sign = 1

    def __init__(self, C=3, D=4):
        self.params, self.grads = {"W": np.ones((C, D))}, {}

    def __call__(self, x):
        self.x = x
        return x @ self.params["W"]

    def backward(self, dy):
        self.grads["W"] = self.sign * self.x.T @ dy
        return dy @ self.params["W"].T


class WrongInTables(InTables):
    sign = -1


PAIRS = {
    "a dict": ((product, partial(of_dict, 1)), (product, partial(of_dict, -1))),
    "a list": ((in_a_list, partial(of_list, 1)), (in_a_list, partial(of_list, -1))),
    "a tuple, whole": ((in_a_tuple, partial(of_whole, 1)), (in_a_tuple, partial(of_whole, -1))),
    "a tuple, spread": ((in_a_tuple, partial(of_parts, 1)), (in_a_tuple, partial(of_parts, -1))),
    "keywords": ((of_keywords, partial(of_parts, 1)), (of_keywords, partial(of_parts, -1))),
    "positions": ((of_positions, partial(of_parts, 1)), (of_positions, partial(of_parts, -1))),
    "a closure": ((closure(True),), (closure(False),)),
    "a class": ((Affine,), (WrongAffine,)),
    "a class that sums": ((Summing,), (WrongSumming,)),
    "an object": ((Affine(np.ones((3, 4))),), (WrongAffine(np.ones((3, 4))),)),
    "an object that sums": ((Summing(np.ones((3, 4))),), (WrongSumming(np.ones((3, 4))),)),
    "tables of an object": ((InTables(),), (WrongInTables(),)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_right_gradients_are_proven_and_wrong_ones_refuted(name):
    right, wrong = PAIRS[name]
    report = prove(*right, **AXES)
    assert [v.gradient for v in report] == ["dx", "dW"]
    assert {v.status + v.reason for v in report} == {"proven for all sizes"}
    assert report
    assert report.notes == ()
    report = prove(*wrong, **AXES)
    assert report["dx"].status == "proven"
    assert report["dW"].status == "refuted"
    assert not report


def test_a_class_that_needs_sizes_is_made_with_them():
    report = prove(InTables, **AXES)
    assert {v.status + v.reason for v in report} == {"proven at C = 3, D = 4, for all sizes"}
    assert prove(InTables, **AXES, const={"C": 3, "D": 4})
    assert not prove(WrongInTables, **AXES, const={"C": 3, "D": 4})


@pytest.mark.parametrize("name", PAIRS)
def test_they_are_proven_at_sizes(name):
    right, wrong = PAIRS[name]
    sizes = {"N": 2, "C": 3, "D": 1}
    assert {v.status for v in prove_at(*right, **AXES, sizes=sizes)} == {"proven at"}
    assert prove_at(*wrong, **AXES, sizes=sizes)["dW"].status == "refuted"


@pytest.mark.parametrize("forward", [product, closure(True), Affine, InTables()])
def test_a_claim_is_about_any_of_them(forward):
    assert refute(forward, wrt="W", claim=lambda dy, x, W: x.T @ dy, **AXES)
    report = refute(forward, wrt="W", claim=lambda dy, x, W: 2 * x.T @ dy, **AXES)
    assert report["dW"].status == "refuted"
    x, W = np.ones((1, 2)), np.ones((2, 1))
    assert slopes(forward, along={"x": x}, x=x, W=W) == (2, 2)


def test_one_array_may_be_the_cache():
    def forward(x):
        return x * x, x

    assert prove(forward, lambda dy, x: 2 * x * dy, x="N C")
    assert prove(forward, lambda dy, x: x * dy, x="N C")["dx"].status == "refuted"
    assert prove(forward, lambda dy, s: 2 * s * dy, x="")


def test_a_tuple_of_one_is_unpacked_by_backward():
    def forward(x):
        return x * x, (x,)

    def backward(dy, cache):
        (x,) = cache
        return 2 * x * dy

    assert prove(forward, backward, x="N C")


def test_none_stands_for_the_gradient_of_what_has_none():
    def forward(mask, x, W, t):
        return ((x * mask) @ W), (mask, x, W)

    def backward(dy, mask, x, W):
        return None, dy @ W.T * mask, (x * mask).T @ dy, None

    axes = {"mask": "const N C", "t": "N < C", **AXES}
    assert prove(forward, backward, **axes)
    with pytest.raises(TypeError, match="backward returned None for dx"):
        prove(product, lambda dy, cache: (None, None), **AXES)
    with pytest.raises(TypeError, match="expected dW or W in it"):
        prove(product, lambda dy, cache: {"dx": dy @ cache["W"].T}, **AXES)


def test_backward_may_write_into_dy_if_that_is_allowed():
    def forward(x):
        return np.maximum(x, 0), (x,)

    def backward(dy, x):
        dy[x <= 0] = 0
        return dy

    def wrong(dy, x):
        dy *= 2
        dy[x <= 0] = 0
        return dy

    with pytest.raises(RuntimeError, match=r"changed dy in place.*; may_change_dy=True allows it"):
        prove(forward, backward, x="N C")
    assert prove(forward, backward, x="N C", may_change_dy=True)
    assert prove_at(forward, backward, x="N C", sizes={"N": 1, "C": 2}, may_change_dy=True)
    assert prove(forward, wrong, x="N C", may_change_dy=True)["dx"].status == "refuted"


# What an object keeps.


class Normal:
    """It goes on with averages that only evaluation uses."""

    def __init__(self, momentum=0.9):
        self.momentum, self.mean, self.variance = momentum, 0.0, 1.0

    def forward(self, x):
        mean = x.mean(axis=0)
        self.centred = x - mean
        self.mean = self.momentum * self.mean + (1 - self.momentum) * mean
        return self.centred

    def backward(self, dy):
        return dy - dy.mean(axis=0)


class Counting:
    def __init__(self):
        self.calls = 0

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dy):
        self.calls += 1
        return 2 * self.x * dy if self.calls < 100 else self.x * dy


class CountingForward(Counting):
    def forward(self, x):
        self.calls += 1
        return super().forward(x)

    def backward(self, dy):
        return 2 * self.x * dy


class GoingOn:
    def __init__(self):
        self.sum = 0.0

    def forward(self, x):
        self.sum = self.sum + x
        return self.sum

    def backward(self, dy):
        return dy


class Drifting:
    """What it goes on with is looked at, though not computed with."""

    def __init__(self):
        self.seen = 0.0

    def forward(self, x):
        self.x, self.seen = x, self.seen + 1.0
        return x * x

    def backward(self, dy):
        return self.x * dy if self.seen > 10**6 else 2 * self.x * dy


class Deep(Counting):
    def __init__(self):
        self.parts = [{"inner": Counting()}]

    def forward(self, x):
        return self.parts[0]["inner"].forward(x)

    def backward(self, dy):
        return self.parts[0]["inner"].backward(dy)


class InSlots:
    __slots__ = ("calls", "x")

    def __init__(self):
        self.calls = [0]

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dy):
        self.calls[0] += 1
        return 2 * self.x * dy


class Appending(Counting):
    def __init__(self):
        self.seen = []

    def backward(self, dy):
        self.seen.append(1)
        return 2 * self.x * dy


class Sequence:
    def __init__(self):
        self.parts = [Normal(), Scale(3.0), Normal()]

    def forward(self, x):
        for part in self.parts:
            x = part.forward(x)
        return x

    def backward(self, dy):
        for part in reversed(self.parts):
            dy = part.backward(dy)
        return dy


def test_averages_that_an_object_goes_on_with_do_no_harm():
    assert prove(Sequence, x="N C")
    assert prove(Normal, x="N C")
    assert prove(Normal(), x="N C")


@pytest.mark.parametrize(
    "kind", [Counting, CountingForward, GoingOn, Drifting, Appending, Deep, InSlots]
)
def test_an_object_that_may_answer_otherwise_later_is_not_proven(kind):
    for layer in (kind, kind()):
        (verdict,) = prove(layer, x="N C")
        assert verdict.status == "undecided"
        assert f"{kind.__name__} changes " in verdict.reason
        assert "so it may answer otherwise at a later call" in verdict.reason


class Helping:
    """Its methods call each other, and one of them looks at what it is given."""

    looks = True

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dy):
        return self.helper(dy)

    def helper(self, dy):
        if self.looks and type(self.x) is np.ndarray:
            return 2 * self.x * dy
        return 2 * dy * self.x


def test_all_methods_are_looked_into():
    for layer in (Helping, Helping()):
        assert "looks at what kind of array" in prove(layer, x="N C")["dx"].reason


class Threshold:
    """It is wrong at one number only, which stands in a method that backward calls."""

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dy):
        return np.where(self.is_special(), 0, 2 * self.x * dy)

    def is_special(self):
        return self.x == 471


def test_the_numbers_in_all_methods_are_tried():
    assert prove(Threshold, x="N C")["dx"].status == "refuted"


# The numbers of an object.


class Scale:
    def __init__(self, p=0.5):
        self.p = p

    def forward(self, x):
        return x * self.p

    def backward(self, dy):
        return dy * self.p


class WrongScale(Scale):
    def backward(self, dy):
        return dy * (1 - self.p)


def test_numbers_of_an_object_and_arguments_of_a_class_are_left_open():
    for layer in (Scale, Scale(0.25)):
        (verdict,) = prove(layer, x="N C")
        assert verdict.reason == " for all sizes"
        assert verdict.formula.text == "dx[n, c] = dy[n, c] p"
    assert prove(Scale, x="N C", const={"p": 3.0})


def test_what_is_right_at_a_number_only_is_told():
    (verdict,) = prove(WrongScale, x="N C")
    assert (verdict.status, verdict.reason) == ("proven at", " p = 0.5, for all sizes")
    assert not verdict
    assert verdict.counterexample.const["p"] != 0.5
    (verdict,) = prove(WrongScale(), x="N C")  # of this object, which the caller has chosen
    assert (verdict.status, verdict.reason) == ("proven at", " p = 0.5, for all sizes")
    assert prove(WrongScale(0.25), x="N C")["dx"].status == "refuted"


class Modes:
    def __init__(self, training=True):
        self.training = training

    def forward(self, x):
        if not self.training:
            return 2 * x
        self.x = x
        return x * x

    def backward(self, dy):
        return 2 * self.x * dy


class WrongModes(Modes):
    def backward(self, dy):
        return 2 * self.x * dy if self.training else dy


def test_a_mode_without_a_backward_is_told():
    report = prove(Modes, x="N C")
    assert report
    assert report.notes == (
        "with training = False, backward fails: 'Modes' object has no attribute 'x'",
    )
    report = prove(Modes(), x="N C")
    assert report
    assert report.notes == ("the object is judged as it is, with training = True",)
    assert prove(WrongModes, x="N C")["dx"].status == "refuted"


def test_arrays_whose_axes_are_not_named_are_told():
    report = prove(Affine(np.ones((3, 4))), x="N C")
    assert report["dx"].status == "undecided"
    assert repr(report).endswith(
        'Affine holds W of shape (3, 4): name the axes of what forward uses, as in W="A B" or '
        '"const A B"'
    )
    with pytest.raises(ValueError, match=r"at all sizes that were tried: .*holds W of shape \(99,"):
        prove(Affine(np.ones((99, 88))), x="N C")
    assert [v.gradient for v in prove(Affine, x="N C", W="const C D")] == ["dx"]


# Random numbers.


class Dropout:
    def __init__(self, p=0.5):
        self.p = p

    def forward(self, x, training=True):
        if not training:
            return x
        self.mask = np.random.rand(*x.shape) > self.p  # noqa: NPY002
        return x * self.mask / (1 - self.p)

    def backward(self, dy):
        return dy * self.mask / (1 - self.p)


class WithoutMask(Dropout):
    def backward(self, dy):
        return dy / (1 - self.p)


class OfItsOwn(Dropout):
    def __init__(self, p=0.5):
        super().__init__(p)
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        self.mask = self.rng.random(x.shape) > self.p
        return x * self.mask / (1 - self.p)


class OfItsOwnWithoutMask(OfItsOwn):
    def backward(self, dy):
        return dy / (1 - self.p)


RNG = np.random.default_rng(0)


class Sampling(Dropout):
    """A method of one of its parts draws, from a generator of the module."""

    def __init__(self, p=0.5):
        super().__init__(p)
        self.sampler = Sampler()

    def forward(self, x):
        self.mask = self.sampler.draw(x) > self.p
        return x * self.mask / (1 - self.p)


class Sampler:
    def draw(self, x):
        return RNG.random(x.shape)


class SamplingWithoutMask(Sampling):
    def backward(self, dy):
        return dy / (1 - self.p)


def noisy(x, sigma=0.1):
    noise = RNG.normal(size=x.shape)
    return x * x + sigma * noise * x, (x, noise, sigma)


def bernoulli(x, p=0.5):
    mask = np.random.binomial(1, 1 - p, size=x.shape)  # noqa: NPY002
    return x * mask / (1 - p), (mask, p)


def rows(x, rng=RNG):
    factor = rng.uniform(0.5, 1.5, (x.shape[0], 1))
    return x * factor, factor


def one_factor(x):
    factor = RNG.standard_normal()
    return x * factor, factor


def merged(x):
    factor = RNG.random(x.reshape(-1).shape)
    return x.reshape(-1) * factor, (factor, x)


DRAWING = {
    "np.random.rand": ((Dropout,), (WithoutMask,)),
    "an object": ((Dropout(),), (WithoutMask(),)),
    "its own generator": ((OfItsOwn,), (OfItsOwnWithoutMask,)),
    "its own generator, an object": ((OfItsOwn(),), (OfItsOwnWithoutMask(),)),
    "a generator of the module": ((Sampling(),), (SamplingWithoutMask(),)),
    "a generator of the module, a class": ((Sampling,), (SamplingWithoutMask,)),
    "noise": (
        (noisy, lambda dy, x, noise, sigma: dy * (2 * x + sigma * noise)),
        (noisy, lambda dy, x, noise, sigma: dy * 2 * x),
    ),
    "binomial": (
        (bernoulli, lambda dy, mask, p: dy * mask / (1 - p)),
        (bernoulli, lambda dy, mask, p: dy * mask),
    ),
    "a default": ((rows, lambda dy, factor: dy * factor), (rows, lambda dy, factor: dy)),
    "one number": ((one_factor, lambda dy, f: dy * f), (one_factor, lambda dy, f: dy)),
    "merged axes": (
        (merged, lambda dy, factor, x: (dy * factor).reshape(x.shape)),
        (merged, lambda dy, factor, x: dy.reshape(x.shape)),
    ),
}


@pytest.mark.parametrize("name", DRAWING)
def test_random_numbers_are_constants(name):
    right, wrong = DRAWING[name]
    report = prove(*right, x="N C")
    assert report, report
    assert {v.status + v.reason for v in report} == {"proven for all sizes"}
    assert HELD in report.notes
    report = prove(*wrong, x="N C")
    assert report["dx"].status == "refuted", report
    assert HELD in repr(report)


def test_a_backward_that_draws_once_more_is_wrong_only_without_the_seed():
    def forward(x):
        return x * np.random.default_rng(4).normal(size=x.shape), ()

    def right(dy):
        return dy * np.random.default_rng(4).normal(size=dy.shape)

    def wrong(dy):
        return dy * np.random.default_rng(5).normal(size=dy.shape)

    assert prove(forward, right, x="N C")["dx"].status is Status.PROVEN
    assert prove(forward, wrong, x="N C")["dx"].status is Status.REFUTED


def test_other_numbers_than_were_drawn_are_proven_as_well():
    """A mask that happens to be all ones at the sizes that were tried proves nothing."""

    def forward(x):
        mask = RNG.random(x.shape) > 1e-9
        return x * mask, ()

    (verdict,) = prove(forward, lambda dy: dy, x="N C")
    assert verdict.status == "undecided"
    assert "the two formulas were not found to be equal" in verdict.reason


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda x: RNG.permutation(x.shape[0]), "draws with permutation, which is not followed"),
        (lambda x: RNG.normal(x), "draws with normal from a distribution that an array chooses"),
        (lambda x: random.random(), "draws with Python's random, which is not followed"),
    ],
)
def test_what_is_drawn_otherwise_is_refused_by_name(draw, message):
    def forward(x):
        drawn = draw(x)
        return x * np.sum(drawn), ()

    (verdict,) = prove(forward, lambda dy: dy, x="N")
    assert not verdict
    if verdict.status == "undecided":
        assert message in verdict.reason
    task = Task.of_backward(Layer.of(forward, lambda dy: dy), {"x": "N"}, {})
    assert message in findings(task)["x"].why


def test_a_backward_that_draws_is_not_proven():
    def backward(dy, x):
        return 2 * x * dy * (RNG.random() < 2)

    (verdict,) = prove(lambda x: (x * x, (x,)), backward, x="N")
    assert "changes something that it keeps" in verdict.reason


def test_the_sources_of_the_caller_are_left_as_they_were():
    before = np.random.get_state()[1].tobytes(), RNG.bit_generator.state  # noqa: NPY002
    prove(Dropout, x="N C")
    prove(noisy, lambda dy, x, noise, sigma: dy * 2 * x, x="N C")
    assert before == (np.random.get_state()[1].tobytes(), RNG.bit_generator.state)  # noqa: NPY002


# Random numbers that backward draws once more.


def drawing_with(made, p=0.5):
    """Return a forward and a backward that draw their mask by the same code."""

    def forward(x):
        return x * (made(x.shape) > p) / p, ()

    def backward(dy):
        return dy * (made(dy.shape) > p) / p

    return forward, backward


def of_the_global_source(shape):
    np.random.seed(3)  # noqa: NPY002
    return np.random.rand(*shape)  # noqa: NPY002


def the_second_draw(shape):
    rng = np.random.default_rng([1, 2])
    rng.normal(0, 0.1, size=shape)
    return rng.random(shape)


def seeded(x, seed=0, sigma=0.1):
    noise = np.random.default_rng(seed).normal(0, sigma, size=x.shape)
    return x * x * noise, (x, seed, sigma)


def seeded_backward(dy, x, seed, sigma):
    noise = np.random.default_rng(seed).normal(0, sigma, size=x.shape)
    return 2 * x * dy * noise


class Redrawing(Dropout):
    """Draws its mask again from the seed, in both."""

    def __init__(self, p=0.5, seed=3):
        self.p, self.seed = p, seed

    def mask_of(self, shape):
        return default_rng(self.seed).random(shape) > self.p

    def forward(self, x):
        return x * self.mask_of(x.shape) / (1 - self.p)

    def backward(self, dy):
        return dy * self.mask_of(dy.shape) / (1 - self.p)


REDRAWN = {
    "default_rng": drawing_with(lambda shape: np.random.default_rng(5).random(shape)),
    "by name": drawing_with(lambda shape: default_rng(5).uniform(size=shape)),
    "RandomState": drawing_with(lambda shape: np.random.RandomState(5).uniform(size=shape)),
    "np.random.seed": drawing_with(of_the_global_source),
    "the second draw": drawing_with(the_second_draw),
    "a constant seed": (seeded, seeded_backward),
    "an object": (Redrawing(),),
    "a class": (Redrawing,),
}


@pytest.mark.parametrize("name", REDRAWN)
def test_a_backward_may_draw_again_what_forward_drew(name):
    report = prove(*REDRAWN[name], x="N C")
    assert {v.status for v in report} == {"proven"}, report
    assert "for all sizes" in repr(report)
    assert HELD in report.notes


def first_of_generator(shape):
    return np.random.default_rng(3).random(shape)


def first_of_state(shape):
    return np.random.RandomState(3).uniform(size=shape)


def transposed(shape):
    return np.random.default_rng(3).random(shape[::-1]).T


def after_another_draw(shape):
    rng = np.random.default_rng(3)
    rng.random(shape)
    return rng.random(shape)


def after_what_is_not_followed(shape):
    rng = np.random.default_rng(3)
    rng.geometric(0.5)
    return rng.random(shape)


def after_a_jump(shape):
    rng = np.random.default_rng(3)
    rng.bit_generator.random_raw()
    return rng.random(shape)


def global_after_another(shape):
    np.random.seed(3)  # noqa: NPY002
    np.random.geometric(0.5)  # noqa: NPY002
    return np.random.rand(*shape)  # noqa: NPY002


def seeded_anew(shape):
    np.random.seed()  # noqa: NPY002
    return np.random.rand(*shape)  # noqa: NPY002


OTHER_DRAWS = {
    "another seed": (first_of_generator, lambda shape: np.random.default_rng(4).random(shape)),
    "no seed": (first_of_generator, lambda shape: np.random.default_rng().random(shape)),
    "another kind of source": (first_of_generator, first_of_state),
    "the other kind": (first_of_state, first_of_generator),
    "another order": (first_of_generator, transposed),
    "after another draw": (first_of_generator, after_another_draw),
    "after one that is not followed": (first_of_generator, after_what_is_not_followed),
    "after a jump": (first_of_generator, after_a_jump),
    "another distribution": (
        first_of_generator, lambda shape: np.random.default_rng(3).normal(0.5, 1, shape)
    ),
    "other bounds": (
        lambda shape: np.random.default_rng(3).uniform(0, 1, shape),
        lambda shape: np.random.default_rng(3).uniform(-1, 1, shape),
    ),
    "no seed, globally": (of_the_global_source, seeded_anew),
    "another global draw first": (of_the_global_source, global_after_another),
    "the global source goes on": (
        of_the_global_source, lambda shape: np.random.rand(*shape)  # noqa: NPY002
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["mask", "noise"])
@pytest.mark.parametrize("name", OTHER_DRAWS)
def test_a_backward_that_draws_other_numbers_is_refuted(name, kind):
    first, second = OTHER_DRAWS[name]
    used = (lambda drawn: drawn > 0.5) if kind == "mask" else (lambda drawn: drawn)

    def forward(x):
        return x * used(first(x.shape)), ()

    (verdict,) = prove(forward, lambda dy: dy * used(second(dy.shape)), x="N C")
    assert verdict.status == "refuted", verdict
    task = Task.of_backward(
        Layer.of(forward, lambda dy: dy * used(second(dy.shape))), {"x": "N C"}, {}
    )
    assert findings(task)["x"].answer is not Answer.RIGHT


@pytest.mark.parametrize("seed", [0, 8, 17])
def test_where_the_global_source_stands_is_no_matter(seed):
    """A backward that goes on with it draws a mask that need not be forward's."""

    def forward(x):
        return x * (of_the_global_source(x.shape) > 0.5), ()

    def backward(dy):
        return dy * (np.random.rand(*dy.shape) > 0.5)  # noqa: NPY002

    np.random.seed(seed)  # noqa: NPY002
    (verdict,) = prove(forward, backward, x="N C")
    assert verdict.status == "refuted", verdict


@pytest.mark.parametrize("other", [lambda rng: rng.geometric(0.5), lambda rng: rng.bit_generator])
def test_what_an_open_seed_does_besides_is_not_followed(other):
    """The numbers that one seed draws are not those of another."""

    def factor(seed):
        rng = np.random.default_rng(seed)
        other(rng)
        return rng.random()

    def forward(x, seed=0):
        return x * factor(seed), seed

    (verdict,) = prove(forward, lambda dy, seed: dy * factor(seed), x="N C")
    assert verdict.status == "undecided", verdict


def test_a_seed_that_is_right_by_default_only_is_proven_for_no_other():
    def forward(x, seed=0):
        return x * first_of_generator(x.shape) * np.random.default_rng(seed).random(), seed

    def backward(dy, seed):
        return dy * first_of_generator(dy.shape) * np.random.default_rng(2 * seed).random()

    (verdict,) = prove(forward, backward, x="N C")
    assert not verdict
    assert "for all sizes" not in str(verdict) or "seed = 0" in str(verdict), verdict


def test_what_the_state_of_a_source_decides_is_undecided():
    def forward(x):
        state = np.random.get_state()  # noqa: NPY002
        return x * (np.random.rand(*x.shape) > 0.5), state  # noqa: NPY002

    def backward(dy, state):
        np.random.set_state(state)  # noqa: NPY002
        return dy * (np.random.rand(*dy.shape) > 0.5)  # noqa: NPY002

    (verdict,) = prove(forward, lambda dy, *state: backward(dy, state), x="N C")
    assert verdict.status == "undecided"
    assert "it cannot be told whether forward has drawn the same" in verdict.reason


# What cannot be told.


class Cell:
    def forward(self, x, h):
        self.x, self.h = x, h
        return x * h, x + h

    def backward(self, dy, dh):
        return dy * self.h + dh, dy * self.x + dh


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ((lambda x, W: (x @ W, (x, W)),), "no backward was given.*return y, .x, W."),
        ((lambda x, W: x @ W, lambda dy: dy), r"def backward\(dy, x, W\): ... return dx, dW"),
        (
            (lambda x, W: (x @ W, x), lambda dy, a, b: dy),
            "a ndarray, and backward takes after dy a, b",
        ),
        ((Affine(np.ones((2, 2))).forward, product), r"prove\(forward, backward, x="),
    ],
)
def test_what_cannot_be_told_says_what_to_write(layer, message):
    axes = {"x": "N C"} if hasattr(layer[0], "__self__") else AXES
    with pytest.raises(TypeError, match=f"(?s){message}"):
        prove(*layer, **axes)


def test_two_outputs_are_judged_one_by_one():
    with pytest.raises(TypeError, match="two outputs; judge each by itself"):
        prove(Cell, x="N C", h="N C")
    with pytest.raises(TypeError, match="two outputs; judge each by itself"):
        prove(lambda x, h: (x * h, x + h), lambda dy, dh: (dy, dh), x="N C", h="N C")


SCALARS = {
    "sum": lambda s, a: s + a,
    "difference": lambda s, a: s - a,
    "product": lambda s, a: s * a,
    "quotient": lambda s, a: s / a,
    "largest": lambda s, a: np.maximum(s, a),
    "comparison": lambda s, a: np.where(s > a, s, 2 * a),
    "root": lambda s, a: np.sqrt(s * s + a * a),
}


@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_parameter_computes_with_what_a_sum_returns(name):
    """The one is an array without axes, the other a number."""
    function = SCALARS[name]

    def forward(x, a):
        return function(x.sum(), a), (x, a)

    report = prove(forward, lambda dy, x, a: (0 * x, 0 * a), x="N", a="")
    assert [verdict.status for verdict in report] == [Status.REFUTED] * 2, report
