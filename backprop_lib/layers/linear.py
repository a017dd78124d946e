"""The linear layer, y = x Wᵀ + b, and its backward pass.

Derived in the chapter "Linear".
"""

from backprop_lib.shapes import Array, Cache, Shaped, shaped


@shaped
def forward(
    x: Shaped[Array, "N C_in"],
    W: Shaped[Array, "C_out C_in"],
    b: Shaped[Array, "C_out"],
) -> tuple[Shaped[Array, "N C_out"], Cache]:
    """Map each row of x to C_out weighted sums of its entries, plus the bias.

    y[n, o] = Σ_i x[n, i] W[o, i] + b[o], in matrix form y = x Wᵀ + b   (linear-forward).

    Parameters
    ----------
    x
        Input, one row per sample.
    W
        Weights, one row per output.
    b
        Bias.

    Returns
    -------
    y
        Output, one row per sample.
    cache
        x and W.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning, MIT Press 2016, section 6.5.
    """
    y = x @ W.T + b
    return y, (x, W)


@shaped
def backward(
    dy: Shaped[Array, "N C_out"],
    x: Shaped[Array, "N C_in"],
    W: Shaped[Array, "C_out C_in"],
) -> tuple[Shaped[Array, "N C_in"], Shaped[Array, "C_out C_in"], Shaped[Array, "C_out"]]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x, W and b.

    dx[n, i] = Σ_o dy[n, o] W[o, i], in matrix form dx = dy W     (linear-dx);
    dW[o, i] = Σ_n dy[n, o] x[n, i], in matrix form dW = dyᵀ x    (linear-dw);
    db[o] = Σ_n dy[n, o]                                          (linear-db).
    """
    dx = dy @ W
    dW = dy.T @ x
    db = dy.sum(axis=0)
    return dx, dW, db
