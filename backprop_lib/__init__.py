"""Backward passes derived by hand, and the means to know that they are right.

Use a layer as a pair of functions::

    from backprop_lib.layers import linear

    y, cache = linear.forward(x, W, b)
    dx, dW, db = linear.backward(dy, *cache)

Check one, the library's or your own::

    from backprop_lib.gradcheck import gradcheck
    from backprop_lib.proof import prove

    gradcheck(linear, x=x, W=W, b=b)
    prove(linear)
"""

__version__ = "0.1.0"
