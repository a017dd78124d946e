"""The linear layer, y = x Wᵀ + b, and its backward pass.

Derived in the chapter "Linear".
"""

from backprop_lib.shapes import Array, Shaped, shaped


@shaped
def forward(
    x: Shaped[Array, "N C_in"],
    W: Shaped[Array, "C_out C_in"],
    b: Shaped[Array, "C_out"],
) -> tuple[
    Shaped[Array, "N C_out"],
    tuple[Shaped[Array, "N C_in"], Shaped[Array, "C_out C_in"]],
]:
    """Map each row of x to C_out weighted sums of its entries, plus the bias.

    y[n, o] = Σ_i x[n, i] W[o, i] + b[o], in matrix form y = x Wᵀ + b   (linear-forward).

    Parameters
    ----------
    x : array, shape (N, C_in)
        Input, one row per sample. N = 0 is an empty batch.
    W : array, shape (C_out, C_in)
        Weights, one row per output.
    b : array, shape (C_out,)
        Bias.

    Returns
    -------
    y : array, shape (N, C_out)
        Output, of the inputs' dtype (float32 stays float32). NaN and infinity propagate.
    cache : tuple (x, W)
        What `backward` takes after dy. It holds the arrays themselves, not copies:
        changing x or W in place before `backward` changes the gradients.

    Raises
    ------
    ShapeError
        If the number of axes or a size is not as above.
    TypeError
        If an argument is not an array of floats.

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
) -> tuple[
    Shaped[Array, "N C_in"],
    Shaped[Array, "C_out C_in"],
    Shaped[Array, "C_out"],
]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x, W and b.

    dx[n, i] = Σ_o dy[n, o] W[o, i], in matrix form dx = dy W     (linear-dx);
    dW[o, i] = Σ_n dy[n, o] x[n, i], in matrix form dW = dyᵀ x    (linear-dw);
    db[o] = Σ_n dy[n, o]                                          (linear-db).

    Parameters
    ----------
    dy : array, shape (N, C_out)
        Upstream gradient. It is not changed.
    x, W : arrays, shapes (N, C_in) and (C_out, C_in)
        The cache of `forward`.

    Returns
    -------
    dx, dW, db : arrays, shapes (N, C_in), (C_out, C_in) and (C_out,)
        New arrays. For an empty batch, dW and db are zeros. NaN and infinity propagate.

    Raises
    ------
    ShapeError, TypeError
        As `forward`.

    References
    ----------
    As for `forward`.
    """
    dx = dy @ W
    dW = dy.T @ x
    db = dy.sum(axis=0)
    return dx, dW, db
