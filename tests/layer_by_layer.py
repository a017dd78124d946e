"""What the functions of `backprop_lib.fast` must equal, and what the tests have in common."""

from types import SimpleNamespace

import numpy as np

from backprop_lib.fast import conv1d_batchnorm1d_relu, conv1d_batchnorm1d_relu_max, derivation
from backprop_lib.layers import batchnorm1d_relu, conv1d
from backprop_lib.ops import max as largest
from backprop_lib.proof.dual import Met, duals, exact_array, value_of
from backprop_lib.proof.object_arrays import filled
from backprop_lib.recorded import Case
from backprop_lib.shapes import unchecked

SHAPES = [
    (3, 2, 4, 5),
    (4, 3, 2, 6),
    (1, 3, 2, 7),
    (5, 2, 3, 1),
    (2, 1, 3, 4),
    (3, 4, 1, 2),
    (9, 2, 3, 4),
    (1, 2, 3, 1),
]
"""N, C_in, C_out, L: all different, and each of them 1; more samples than blocks; M = 1."""


def forward(x, W, gamma, beta, eps=1e-5):
    z, of_conv1d = conv1d.forward(x, W, np.zeros_like(beta))
    y, of_batchnorm = batchnorm1d_relu.forward(z, gamma, beta, eps)
    return y, (of_conv1d, of_batchnorm)


def backward(dy, of_conv1d, of_batchnorm):
    dz, dgamma, dbeta = batchnorm1d_relu.backward(dy, *of_batchnorm)
    dx, dW, _ = conv1d.backward(dz, *of_conv1d)
    return dx, dW, dgamma, dbeta


def forward_evaluation(x, W, gamma, beta, mean, var, eps=1e-5):
    z, of_conv1d = conv1d.forward(x, W, np.zeros_like(beta))
    y, of_batchnorm = batchnorm1d_relu.forward_evaluation(z, gamma, beta, mean, var, eps)
    return y, (of_conv1d, of_batchnorm)


def backward_evaluation(dy, of_conv1d, of_batchnorm):
    dz, dgamma, dbeta = batchnorm1d_relu.backward_evaluation(dy, *of_batchnorm)
    dx, dW, _ = conv1d.backward(dz, *of_conv1d)
    return dx, dW, dgamma, dbeta


def then_max(forward, backward):
    """Put the maximum over the places behind a layer."""

    def forward_max(*inputs, **const):
        y, cache = forward(*inputs, **const)
        y, of_max = largest.forward(y)
        return y, (of_max, cache)

    def backward_max(dy, of_max, cache):
        return backward(largest.backward(dy, *of_max), *cache)

    return SimpleNamespace(forward=forward_max, backward=backward_max)


TRAINING = SimpleNamespace(
    fast=conv1d_batchnorm1d_relu, twin=SimpleNamespace(forward=forward, backward=backward)
)
EVALUATION = SimpleNamespace(
    fast=SimpleNamespace(
        forward=conv1d_batchnorm1d_relu.forward_evaluation,
        backward=conv1d_batchnorm1d_relu.backward_evaluation,
    ),
    twin=SimpleNamespace(forward=forward_evaluation, backward=backward_evaluation),
)
TRAINING_MAX = SimpleNamespace(fast=conv1d_batchnorm1d_relu_max, twin=then_max(forward, backward))
EVALUATION_MAX = SimpleNamespace(
    fast=SimpleNamespace(
        forward=conv1d_batchnorm1d_relu_max.forward_evaluation,
        backward=conv1d_batchnorm1d_relu_max.backward_evaluation,
    ),
    twin=then_max(forward_evaluation, backward_evaluation),
)
FORMULAS = SimpleNamespace(fast=derivation, twin=TRAINING.twin)
FORMULAS_MAX = SimpleNamespace(
    fast=SimpleNamespace(forward=derivation.forward_max, backward=derivation.backward_max),
    twin=TRAINING_MAX.twin,
)
ALL = {
    "training": TRAINING,
    "evaluation": EVALUATION,
    "training, max": TRAINING_MAX,
    "evaluation, max": EVALUATION_MAX,
    "formulas": FORMULAS,
    "formulas, max": FORMULAS_MAX,
}
IN_EVALUATION = (EVALUATION, EVALUATION_MAX)
WITH_MAX = (TRAINING_MAX, EVALUATION_MAX, FORMULAS_MAX)


def draw(shape, layer, seed=0, dtype=float):
    """Draw inputs with γ of both signs, statistics if the layer takes them, and dy."""
    n, c_in, c_out, length = shape
    rng = np.random.default_rng(seed)
    inputs = {
        "x": rng.standard_normal((n, c_in, length)),
        "W": rng.standard_normal((c_out, c_in)),
        "gamma": rng.uniform(0.5, 2, c_out) * rng.choice([-1, 1], c_out),
        "beta": rng.normal(size=c_out) / 3,
    }
    const = {}
    if layer in IN_EVALUATION:
        const = {"mean": rng.standard_normal(c_out), "var": rng.uniform(0.3, 2, c_out)}
    dy = rng.standard_normal((n, c_out) if layer in WITH_MAX else (n, c_out, length))
    made = [{k: v.astype(dtype) for k, v in group.items()} for group in (inputs, const)]
    return *made, dy.astype(dtype)


def results(functions, inputs, const, dy, **options):
    """Return y and all gradients."""
    y, cache = functions.forward(*inputs.values(), **const, **options)
    return y, *functions.backward(dy, *cache, **options)


def cases(forward):
    """Return cases as those of PyTorch, for a forward here that PyTorch was not asked for."""
    layer = next(layer for layer in ALL.values() if layer.fast.forward is forward)
    return [
        _case(layer, shape, dtype) for shape in SHAPES[:4] for dtype in (np.float64, np.float32)
    ]


def _case(layer, shape, dtype):
    inputs, const, dy = draw(shape, layer, dtype=dtype)
    wide = [{k: v.astype(float) for k, v in group.items()} for group in (inputs, const)]
    y, *gradients = (r.astype(dtype) for r in results(layer.twin, *wide, dy.astype(float)))
    return Case(inputs, const, dy, y, dict(zip(inputs, gradients, strict=True)), {})


def worst_error(ours, theirs):
    """Return the largest distance, relative to the largest entry of each array."""
    errors = []
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        size = np.abs(b).max(initial=0)
        errors.append(np.abs(a - b).max(initial=0) / (size if size > 1e-9 else 1))
    return max(errors)


def exact(values):
    """Return an array of exact numbers, on which NumPy's operations round nothing."""
    return duals(exact_array(values), None, Met())


def values(array):
    """Return exact numbers as what they are, to be compared."""
    return filled(array.shape, (value_of(entry) for entry in array.flat))


def draw_exact(shape, layer, seed=0):
    """Draw small whole numbers; eps is such that every root is rational."""
    n, c_in, c_out, length = shape
    rng = np.random.default_rng(seed)

    def whole(*size, low=-5, high=6):
        return exact(rng.integers(low, high, size).astype(object))

    inputs = {
        "x": whole(n, c_in, length),
        "W": whole(c_out, c_in),
        "gamma": whole(c_out, low=-2, high=3),
        "beta": whole(c_out),
    }
    with unchecked():
        if layer in IN_EVALUATION:
            const = {"mean": whole(c_out), "var": whole(c_out, low=1, high=9)}
        else:
            z = inputs["W"] @ inputs["x"]
            centred = z - z.mean(axis=(0, 2))[:, None]
            const = {"var": (centred * centred).mean(axis=(0, 2))}
        root = whole(c_out, low=20, high=30)
        const["eps"] = root * root - const["var"]
    if layer not in IN_EVALUATION:
        del const["var"]
    dy = whole(*((n, c_out) if layer in WITH_MAX else (n, c_out, length)))
    return inputs, const, dy
