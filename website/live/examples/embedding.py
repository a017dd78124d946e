# A word that occurs twice counts twice.
# Try: dW[ids] += dy
import numpy as np


def forward(W, ids):
    return W[ids], (W, ids)


def backward(dy, W, ids):
    dW = np.zeros_like(W)
    np.add.at(dW, ids, dy)
    return dW
