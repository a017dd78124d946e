# Proven for every eps, not for 1e-5 alone.
# Try: dx = r * (g - through_variance)
import numpy as np


def forward(x, W, b, eps=1e-5):
    centred = x - x.mean(axis=1, keepdims=True)
    r = 1 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + eps)
    x_hat = centred * r
    return x_hat * W + b, (x_hat, r, W)


def backward(dy, x_hat, r, W):
    g = dy * W
    through_mean = g.mean(axis=1, keepdims=True)
    through_variance = x_hat * (g * x_hat).mean(axis=1, keepdims=True)
    dx = r * (g - through_mean - through_variance)
    dW = (dy * x_hat).sum(axis=0)
    db = dy.sum(axis=0)
    return dx, dW, db
