"""How far square matrices are from orthogonal ones, and the backward pass of that penalty.

Derived in the chapter "Orthogonality".
"""

import numpy as np

from backprop_lib.shapes import Array, Cache, Shaped, shaped


@shaped
def forward(
    A: Shaped[Array, "N C C"],
) -> tuple[Shaped[Array, "N"], Cache]:
    """Return the squared Frobenius norm of A Aᵀ − I for each matrix.

    y[n] = Σ_i Σ_j E[n, i, j]², E = A Aᵀ − I        (orthogonality-forward).

    Parameters
    ----------
    A
        A square matrix for each sample.

    Returns
    -------
    y
        The penalties. They are 0 for orthogonal matrices only.
    cache
        A and E.

    References
    ----------
    C. R. Qi et al., PointNet, CVPR 2017, equation 2.
    """
    identity: np.ndarray = np.eye(A.shape[1], dtype=A.dtype, like=A)
    E = A @ A.swapaxes(1, 2) - identity
    y = (E * E).sum(axis=(1, 2))
    return y, (A, E)


@shaped
def backward(
    dy: Shaped[Array, "N"], A: Shaped[Array, "N C C"], E: Shaped[Array, "N C C"]
) -> Shaped[Array, "N C C"]:
    """Turn the upstream gradient dy = ∂L/∂y into the gradient of A.

    dA[n, i, j] = 4 dy[n] Σ_k E[n, i, k] A[n, k, j], for each sample dA = 4 dy E A
    (orthogonality-da).
    """
    return 4 * dy[:, None, None] * (E @ A)
