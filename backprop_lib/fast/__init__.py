"""The book's functions in faster forms. Each module names the ones that it must equal.

Two are derived anew, `conv1d_batchnorm1d_relu` and `conv1d_batchnorm1d_relu_max`: they do less
arithmetic, and never form the arrays in between. The others do what their namesakes in ``layers``
and ``ops`` do, in an order that suits the processor's caches. There is no fast linear layer: it is
one matrix product, and `layers.linear` is that already.

BLAS brings threads of its own, which gain little on products as small as these. Set
``OPENBLAS_NUM_THREADS=1`` before NumPy is imported, and share out the samples of a batch with
`parallel.threads`.

Arguments, errors and sources are those of the namesakes, and `backprop_lib.layer` says what all
promise. With ``buffers``, a `buffers.Buffers`, a function writes its large results, y or dx (and
dt), into the same arrays at every call. The next call with the same buffers overwrites them.

NaN and infinity give the same results in ``conv1d``, ``bmm`` and ``max`` as in their readable
twins. The other modules compute other products than their twins, and 0 times NaN or infinity is
NaN. Therefore:

- If an argument of ``forward`` contains NaN but no infinity, the results are those of the twin. The
  exception is ``conv1d_batchnorm1d_relu_max.backward_evaluation``: an entry of dx may be finite
  where it is NaN in the twin.
- If an argument of ``forward`` contains infinity, each entry of y is that of the twin, or NaN. The
  gradients may differ from those of the twin in any way.
- If dy contains NaN or infinity, each entry of a gradient is that of the twin, or NaN.
"""
