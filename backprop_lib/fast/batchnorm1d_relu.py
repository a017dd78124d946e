"""Batch normalisation with ReLU merged in, in training and in evaluation, a few channels at a time.

Equal to `layers.batchnorm1d_relu`: `forward`, `backward`, `forward_evaluation` and
`backward_evaluation`. Only the cache is another one: x itself is kept, and x̂ is computed again.

Derived in the chapters "BatchNorm1d with ReLU" and "Speed".
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
    """Normalise a batch, then set what is negative to 0.

    With u = x − μ and α = W r, r = 1/√(σ² + ε), y = max(α u + b, 0)    (speed-batchnorm-forward),
    the mean μ and the variance σ² over the M = N·L entries of a channel.

    The cache is y, x, mean, r and W. mean and r are in double precision, or in the inputs' own if
    that is better.
    """
    y, mean, r = normalising.batch_norm(x, W, b, eps, has_relu=True, buffers=buffers)
    return y, (y, x, mean, r, W)


@shaped(nonempty=("N", "C", "*L"))
def backward(
    dy: Shaped[Array, "N C *L"],
    y: Shaped[Array, "N C *L"],
    x: Shaped[Array, "N C *L"],
    mean: Shaped[Array, "C"],
    r: Shaped[Array, "C"],
    W: Shaped[Array, "C"],
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C *L"], Shaped[Array, "C"], Shaped[Array, "C"]]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x, W and b.

    With g = dy where y > 0, else 0, and the sums over all entries of a channel,
    db = Σ g, dW = r Σ g u, dx = α (g − db / M + e u), with e = −r dW / M
    (speed-batchnorm-backward); see (batchnorm1d-relu-mask).

    NaN before the ReLU counts as closed, as in the twin. Where dy is NaN or infinite at a closed
    place, the gradients of its channel are NaN, which the twin's are not.
    """
    return normalising.batch_norm_backward(dy, y, x, mean, r, W, is_training=True, buffers=buffers)


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
    """Normalise with a mean and a variance that are given, then set what is negative to 0.

    y = max(α (x − mean) + b, 0), α = W r, r = 1/√(var + ε)    (speed-batchnorm-evaluation).
    """
    y, r = normalising.batch_norm_evaluation(
        x, W, b, mean, var, eps, has_relu=True, buffers=buffers
    )
    return y, (y, x, mean, r, W)


@shaped
def backward_evaluation(
    dy: Shaped[Array, "N C *L"],
    y: Shaped[Array, "N C *L"],
    x: Shaped[Array, "N C *L"],
    mean: Shaped[Array, "C"],
    r: Shaped[Array, "C"],
    W: Shaped[Array, "C"],
    *,
    buffers: Buffers | None = None,
) -> tuple[Shaped[Array, "N C *L"], Shaped[Array, "C"], Shaped[Array, "C"]]:
    """Turn dy into the gradients of x, W and b, where mean and variance are constant.

    As `backward`, also with NaN, but dx = α g               (speed-batchnorm-evaluation).
    """
    return normalising.batch_norm_backward(dy, y, x, mean, r, W, is_training=False, buffers=buffers)
