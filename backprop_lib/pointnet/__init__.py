"""The PointNet that the note was written for, made of this book's layers.

`network` is the graph of the layers and its backward pass, `training` teaches it; both from the
command line as ``python -m backprop_lib.pointnet``.
"""
