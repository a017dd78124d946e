"""The batched matrix product, y = x t for each sample, and its backward pass.

Derived in the chapter "Bmm".
"""

from backprop_lib.shapes import Array, Cache, Shaped, shaped


@shaped
def forward(
    x: Shaped[Array, "N L C"], t: Shaped[Array, "N C D"]
) -> tuple[Shaped[Array, "N L D"], Cache]:
    """Multiply the matrix of each sample by another one of the same sample.

    y[n, l, d] = Σ_c x[n, l, c] t[n, c, d], for each sample y = x t    (bmm-forward).

    Parameters
    ----------
    x
        Input, L points of C coordinates for each sample.
    t
        A matrix for each sample; PointNet's are square.

    Returns
    -------
    y
        Output, L points of D coordinates for each sample.
    cache
        x and t.

    References
    ----------
    C. R. Qi et al., PointNet, CVPR 2017, section 4.2: the joint alignment network.
    """
    y = x @ t
    return y, (x, t)


@shaped
def backward(
    dy: Shaped[Array, "N L D"], x: Shaped[Array, "N L C"], t: Shaped[Array, "N C D"]
) -> tuple[Shaped[Array, "N L C"], Shaped[Array, "N C D"]]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradients of x and t.

    dx[n, l, c] = Σ_d dy[n, l, d] t[n, c, d], for each sample dx = dy tᵀ    (bmm-dx);
    dt[n, c, d] = Σ_l x[n, l, c] dy[n, l, d], for each sample dt = xᵀ dy    (bmm-dt).
    """
    dx = dy @ t.swapaxes(1, 2)
    dt = x.swapaxes(1, 2) @ dy
    return dx, dt
