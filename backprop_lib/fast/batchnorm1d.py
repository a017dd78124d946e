"""Batch normalisation, in training and in evaluation, a few channels at a time.

Equal to `layers.batchnorm1d`: `forward`, `backward`, `forward_evaluation` and
`backward_evaluation`. Only the cache is another one: x itself is kept, and x̂ is computed again.

Derived in the chapters "BatchNorm1d" and "Speed".
"""

from typing import Annotated

from backprop_lib.fast import normalising
from backprop_lib.fast.buffers import Buffers
from backprop_lib.shapes import Array, Cache, Constant, Shaped, shaped


@shaped(nonempty=("N", "C", "*L"))
def forward(
    x: Shaped[Array, "N C *L"],
    W: Shaped[Array, "C"],
    b: Shaped[Array, "C"],
    eps: Annotated[float, ">= 0"] = 1e-5,
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C *L"], Cache]:
    """Normalise each channel over the batch, then scale it by W and shift it by b.

    With u = x − μ and α = W r, r = 1/√(σ² + ε), y = α u + b    (speed-batchnorm-forward),
    the mean μ and the variance σ² over the M = N·L entries of a channel.

    The cache is x, mean, r and W. mean and r are in double precision, or in the inputs' own if
    that is better.
    """
    y, mean, r = normalising.batch_norm(x, W, b, eps, has_relu=False, buffers=buffers)
    return y, (x, mean, r, W)


@shaped(nonempty=("N", "C", "*L"))
def backward(
    dy: Shaped[Array, "N C *L"],
    x: Shaped[Array, "N C *L"],
    mean: Shaped[Array, "C"],
    r: Shaped[Array, "C"],
    W: Shaped[Array, "C"],
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C *L"], Shaped[Array, "C"], Shaped[Array, "C"]]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x, W and b.

    With g = dy and the sums over all entries of a channel,
    db = Σ g, dW = r Σ g u, dx = α (g − db / M + e u), with e = −r dW / M
    (speed-batchnorm-backward); the same as (batchnorm1d-dx) with x̂ = r u.

    With one entry in a channel (M = 1), dx is 0.
    """
    return normalising.batch_norm_backward(
        dy, None, x, mean, r, W, is_training=True, buffers=buffers
    )


@shaped
def forward_evaluation(
    x: Shaped[Array, "N C *L"],
    W: Shaped[Array, "C"],
    b: Shaped[Array, "C"],
    mean: Shaped[Constant, "C"],
    var: Shaped[Constant, "C"],
    eps: Annotated[float, ">= 0"] = 1e-5,
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C *L"], Cache]:
    """Normalise with a mean and a variance that are given.

    y = α (x − mean) + b, α = W r, r = 1/√(var + ε)    (speed-batchnorm-evaluation).
    """
    y, r = normalising.batch_norm_evaluation(
        x, W, b, mean, var, eps, has_relu=False, buffers=buffers
    )
    return y, (x, mean, r, W)


@shaped
def backward_evaluation(
    dy: Shaped[Array, "N C *L"],
    x: Shaped[Array, "N C *L"],
    mean: Shaped[Array, "C"],
    r: Shaped[Array, "C"],
    W: Shaped[Array, "C"],
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C *L"], Shaped[Array, "C"], Shaped[Array, "C"]]:
    """Turn dy into the gradients of x, W and b, where mean and variance are constant.

    As `backward`, but dx = α g                             (speed-batchnorm-evaluation).
    """
    return normalising.batch_norm_backward(
        dy, None, x, mean, r, W, is_training=False, buffers=buffers
    )
