# Proven for every mask that it may draw.
# Try: return dy * self.kept
import numpy as np


class Dropout:
    def __init__(self, p=0.5):
        self.p = p
        self.rng = np.random.default_rng()

    def forward(self, x):
        self.kept = self.rng.random(x.shape) > self.p
        return x * self.kept / (1 - self.p)

    def backward(self, dy):
        return dy * self.kept / (1 - self.p)
