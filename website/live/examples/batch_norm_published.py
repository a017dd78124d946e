# Knet.jl, issue 288: dx lacks W. Tests had W = 1.
# Try: dx = W * r * (dy - mean(dy) - x_hat * mean(dy * x_hat))
import numpy as np


def mean(a):
    return a.mean(axis=0)


def forward(x, W, b, eps=1e-5):
    centred = x - mean(x)
    r = 1 / np.sqrt(mean(centred * centred) + eps)
    x_hat = centred * r
    return x_hat * W + b, (x_hat, r, W)


def backward(dy, x_hat, r, W):
    dx = r * (dy - mean(dy) - x_hat * mean(dy * x_hat))
    dW = (dy * x_hat).sum(axis=0)
    db = dy.sum(axis=0)
    return dx, dW, db
