# No place looks at a later one.
# Try: dk = ds @ q
import numpy as np


def forward(q, k, v):
    T, D = q.shape
    later = np.triu(np.ones((T, T), dtype=bool), k=1)
    s = np.where(later, -np.inf, q @ k.T / np.sqrt(D))
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p @ v, (q, k, v, p)


def backward(dy, q, k, v, p):
    dv = p.T @ dy
    dp = dy @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[1])
    dq = ds @ k
    dk = ds.T @ q
    return dq, dk, dv
