# dW and db on self are judged, too.
# Try: self.db = dy.sum(axis=0)
import numpy as np


class LinearReLU:
    def __init__(self, W, b):
        self.W = W
        self.b = b

    def forward(self, x):
        self.x = x
        z = x @ self.W + self.b
        self.active = z > 0
        return z * self.active

    def backward(self, dy):
        dz = dy * self.active
        self.dW = self.x.T @ dz
        self.db = dz.sum(axis=0)
        return dz @ self.W.T
