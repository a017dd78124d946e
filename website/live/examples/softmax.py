# forward subtracts the largest entry, and dx needs no term for it.
# Try: return y * (dy - (dy * y).sum(axis=0, keepdims=True))
import numpy as np


def forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, (y,)


def backward(dy, y):
    return y * (dy - (dy * y).sum(axis=1, keepdims=True))
