"""PointNet's loss as a function of its parameters, for libraries that differentiate NumPy code.

`xp` is jax.numpy, autograd.numpy, or NumPy itself.
"""

from collections.abc import Mapping
from typing import Any

from bench.network import EPS

Parameters = Mapping[str, Any]


def loss(
    xp: Any,
    parameters: Parameters,
    points: Any,
    one_hot: Any,
    regulariser: float,
    mask: Any = 1,
) -> Any:
    """Return the mean negative log-likelihood plus the penalty of the feature transform.

    Points have the shape (N, channels, L), labels come as rows of zeros with a one, and mask is
    what dropout multiplies the last hidden layer by.
    """
    h = transform_points(xp, points, transform(xp, parameters, "input_transform", points))
    h = convolutions(xp, parameters, "local", h)
    matrices = transform(xp, parameters, "feature_transform", h)
    h = transform_points(xp, h, matrices)
    h = xp.max(convolutions(xp, parameters, "features", h), axis=2)
    h = linears(xp, parameters, "head", h) * mask
    scores = output(parameters, "head.out", h)
    return nll(xp, scores, one_hot) + regulariser * penalty(xp, matrices)


def transform(xp: Any, parameters: Parameters, part: str, x: Any) -> Any:
    """Return a matrix for each sample: the identity plus what a small PointNet says."""
    h = xp.max(convolutions(xp, parameters, part, x), axis=2)
    h = output(parameters, f"{part}.out", linears(xp, parameters, part, h))
    N, C, _ = x.shape
    return xp.reshape(h, (N, C, C)) + xp.eye(C, dtype=x.dtype)


def transform_points(xp: Any, x: Any, matrices: Any) -> Any:
    """Multiply the points of each sample by its matrix."""
    return xp.matmul(xp.swapaxes(matrices, 1, 2), x)


def convolutions(xp: Any, parameters: Parameters, part: str, h: Any) -> Any:
    """Apply the convolutions of a part with BatchNorm and ReLU."""
    for name in _names(parameters, f"{part}.conv"):
        h = batchnorm_relu(xp, parameters, name, xp.matmul(parameters[f"{name}.W"], h), (0, 2))
    return h


def linears(xp: Any, parameters: Parameters, part: str, h: Any) -> Any:
    """Apply the linear layers of a part with BatchNorm and ReLU."""
    for name in _names(parameters, f"{part}.linear"):
        h = batchnorm_relu(xp, parameters, name, xp.matmul(h, parameters[f"{name}.W"].T), (0,))
    return h


def batchnorm_relu(
    xp: Any, parameters: Parameters, name: str, z: Any, axes: tuple[int, ...]
) -> Any:
    """Apply BatchNorm in training, and ReLU."""
    centred = z - xp.mean(z, axis=axes, keepdims=True)
    variance = xp.mean(centred * centred, axis=axes, keepdims=True)
    shape = (-1, 1) if len(axes) == 2 else (-1,)
    gamma = xp.reshape(parameters[f"{name}.gamma"], shape)
    beta = xp.reshape(parameters[f"{name}.beta"], shape)
    return xp.maximum(gamma * (centred / xp.sqrt(variance + EPS)) + beta, 0)


def output(parameters: Parameters, name: str, h: Any) -> Any:
    """Apply a linear layer with a bias."""
    return h @ parameters[f"{name}.W"].T + parameters[f"{name}.b"]


def nll(xp: Any, scores: Any, one_hot: Any) -> Any:
    """Return the mean negative log-likelihood of the labels."""
    shifted = scores - xp.max(scores, axis=1, keepdims=True)
    log_p = shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))
    return -xp.sum(one_hot * log_p) / len(scores)


def penalty(xp: Any, matrices: Any) -> Any:
    """Return the mean squared distance of A Aᵀ from the identity."""
    identity = xp.eye(matrices.shape[1], dtype=matrices.dtype)
    E = xp.matmul(matrices, xp.swapaxes(matrices, 1, 2)) - identity
    return xp.sum(E * E) / len(matrices)


def _names(parameters: Parameters, start: str) -> list[str]:
    return [
        name.removesuffix(".W")
        for name in parameters
        if name.startswith(start) and name.endswith(".W")
    ]
