# dx needs no term for x.max.
# Try: return y * (dy - (dy * y).sum())
import numpy as np


def forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, (y,)


def backward(dy, y):
    return y * (dy - (dy * y).sum(axis=1, keepdims=True))
