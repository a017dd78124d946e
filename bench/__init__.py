"""The benchmark: this book's PointNet against PyTorch, JAX and autograd, on your machine.

`make bench` runs it in an environment of its own; neither book nor tests need it.
"""
