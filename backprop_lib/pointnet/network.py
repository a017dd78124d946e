"""PointNet for classification: the layers as one graph, and the gradients of all its weights.

Derived in the chapter "A network".

Each part returns its output and a function `pull`, which turns the upstream gradient of the output
into that of the part's input and notes the gradients of the part's own parameters on the way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from itertools import count, pairwise
from typing import Any

import numpy as np

from backprop_lib.arguments import ShapeError, check_number, check_sizes, why_not_plain
from backprop_lib.fast import bmm as fast_bmm
from backprop_lib.fast import conv1d_batchnorm1d_relu as fast_block
from backprop_lib.fast import conv1d_batchnorm1d_relu_max as fast_block_max
from backprop_lib.fast.buffers import Buffers
from backprop_lib.layers import batchnorm1d, batchnorm1d_relu, conv1d, linear
from backprop_lib.ops import bmm, dropout, log_softmax_nll, orthogonality
from backprop_lib.ops import max as maximum
from backprop_lib.steps import step

Arrays = dict[str, np.ndarray]
Pull = Callable[[Any], Any]
EPS = 1e-5
MOMENTUM = 0.1


@dataclass(frozen=True)
class Settings:
    """The sizes of a PointNet, those of the paper unless told otherwise.

    Parameters
    ----------
    channels, classes : int
        Numbers of a point, and classes to tell apart.
    local : tuple of int
        Channels of the convolutions before the feature transform.
    features : tuple of int
        Channels of those behind it; the last one is the length of the global feature.
    head : tuple of int
        Outputs of the linear layers between the global feature and the scores.
    transform, transform_head : tuple of int
        The same for the two networks that predict a transform.
    dropout : float
        The probability to drop an entry in front of the scores.

    Raises
    ------
    ValueError, TypeError
        If a size is not a whole number of at least 1, a part has no layer where it needs one, or
        dropout is no probability below 1.

    References
    ----------
    C. R. Qi et al., PointNet, CVPR 2017, section 4.2 and supplementary section C.
    """

    channels: int = 3
    classes: int = 10
    local: tuple[int, ...] = (64, 64)
    features: tuple[int, ...] = (64, 128, 1024)
    head: tuple[int, ...] = (512, 256)
    transform: tuple[int, ...] = (64, 128, 1024)
    transform_head: tuple[int, ...] = (512, 256)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        as_pythons = {"dropout": check_number("dropout", self.dropout, float, ">= 0", "< 1")}
        for name in ("channels", "classes"):
            as_pythons[name] = check_number(name, getattr(self, name), int, ">= 1")
        for name in ("local", "features", "transform", "head", "transform_head"):
            as_pythons[name] = sizes = check_sizes(name, getattr(self, name), ">= 1")
            if not sizes:
                raise ValueError(f"{name} is empty, expected at least one size")
        for name, value in as_pythons.items():
            object.__setattr__(self, name, value)


def _checked_names(names: Sequence[str], classes: int) -> tuple[str, ...]:
    names = tuple(names)
    are_different = len(names) == len(set(names)) == classes
    if names and not (are_different and all(isinstance(name, str) for name in names)):
        raise ValueError(
            f"class_names is {names}, expected {classes} different names, one for each class"
        )
    return names


@dataclass
class _Pass:
    """One run through the network: what it uses, and what it leaves behind."""

    parameters: Mapping[str, np.ndarray]
    running: Mapping[str, np.ndarray]
    training: bool
    derived: bool
    eps: Any
    buffers: Buffers | None = None
    keeps_statistics: bool = True
    """Whether running statistics move on; exact numbers, of a proof, leave none behind."""
    new_running: Arrays = field(default_factory=dict)
    gradients: Arrays = field(default_factory=dict)
    places: Arrays = field(default_factory=dict)

    def of(self, name: str, *parts: str) -> list[np.ndarray]:
        """Return the parameters of a block."""
        return [self.parameters[f"{name}.{part}"] for part in parts]

    def note(self, name: str, **gradients: np.ndarray) -> None:
        """Keep the gradients of a block's parameters."""
        self.gradients |= {f"{name}.{part}": value for part, value in gradients.items()}

    def buffers_of(self, name: str) -> Buffers | None:
        """Return where a block's results may be written again and again."""
        return None if self.buffers is None else self.buffers[name]

    @staticmethod
    def step(name: str, value: np.ndarray) -> np.ndarray:
        """Name a step, so that the network is proven block by block."""
        named: np.ndarray = step(_identifier(name), value)
        return named

    def eps_of(self, name: str, z: Any) -> Any:
        """Return what keeps a root away from 0."""
        return self.eps(name, z) if callable(self.eps) else self.eps

    def statistics(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the running mean and variance of a block."""
        return self.running[f"{name}.mean"], self.running[f"{name}.var"]

    def keep_statistics(self, name: str, mean: np.ndarray, var: np.ndarray) -> None:
        """Keep the running mean and variance for passes to come."""
        self.new_running |= {f"{name}.mean": mean, f"{name}.var": var}

    def normalised(self, name: str, z: np.ndarray) -> tuple[np.ndarray, Pull]:
        """Apply BatchNorm and ReLU."""
        gamma, beta = self.of(name, "gamma", "beta")
        eps = self.eps_of(name, z)
        if self.training:
            y, cache = batchnorm1d_relu.forward(z, gamma, beta, eps)
            backward = batchnorm1d_relu.backward
            if self.keeps_statistics:
                mean, var = self.statistics(name)
                kept = batchnorm1d.running_statistics(mean, var, z, MOMENTUM)
                self.keep_statistics(name, *kept)
        else:
            mean, var = self.statistics(name)
            y, cache = batchnorm1d_relu.forward_evaluation(z, gamma, beta, mean, var, eps)
            backward = batchnorm1d_relu.backward_evaluation

        def pull(dy: np.ndarray) -> np.ndarray:
            dz, dgamma, dbeta = backward(self.step(f"d{name}.y", dy), *cache)
            self.note(name, gamma=dgamma, beta=dbeta)
            return self.step(f"d{name}.z", dz)

        return self.step(f"{name}.y", y), pull

    def convolved(self, name: str, x: np.ndarray) -> tuple[np.ndarray, Pull]:
        """Apply a convolution with kernel 1, BatchNorm and ReLU; see `_no_bias`."""
        if self.derived:
            return self._derived(name, fast_block, x)
        (W,) = self.of(name, "W")
        z, cache = conv1d.forward(x, W, _no_bias(W))
        y, pull_normalised = self.normalised(name, self.step(f"{name}.z", z))

        def pull(dy: np.ndarray) -> np.ndarray:
            dx, dW, _ = conv1d.backward(pull_normalised(dy), *cache)
            self.note(name, W=dW)
            return dx

        return y, pull

    def convolved_max(self, name: str, x: np.ndarray) -> tuple[np.ndarray, Pull]:
        """Apply the same, and take the largest entry over the points."""
        if self.derived:
            return self._derived(name, fast_block_max, x)
        y, pull_convolved = self.convolved(name, x)
        largest, cache = maximum.forward(y)
        self.places[name] = cache[1][..., 0]
        return largest, lambda dy: pull_convolved(maximum.backward(dy, *cache))

    def _derived(self, name: str, block: Any, x: np.ndarray) -> tuple[np.ndarray, Pull]:
        """Apply a block in its derived form."""
        W, gamma, beta = self.of(name, "W", "gamma", "beta")
        eps = self.eps_of(name, None)
        buffers = self.buffers_of(name)
        if self.training:
            y, cache = block.forward(x, W, gamma, beta, eps, buffers=buffers)
            backward = block.backward
            mean, var = self.statistics(name)
            batch_mean, batch_var, M = block.batch_statistics(*cache)
            unbiased = batch_var * (M / (M - 1))
            self.keep_statistics(
                name,
                (1 - MOMENTUM) * mean + MOMENTUM * batch_mean,
                (1 - MOMENTUM) * var + MOMENTUM * unbiased,
            )
        else:
            mean, var = self.statistics(name)
            y, cache = block.forward_evaluation(x, W, gamma, beta, mean, var, eps, buffers=buffers)
            backward = block.backward_evaluation
        if block is fast_block_max:
            self.places[name] = cache[1]

        def pull(dy: np.ndarray) -> np.ndarray:
            dx: np.ndarray
            dx, dW, dgamma, dbeta = backward(dy, *cache, buffers=buffers)
            self.note(name, W=dW, gamma=dgamma, beta=dbeta)
            return dx

        return y, pull

    def connected(self, name: str, x: np.ndarray) -> tuple[np.ndarray, Pull]:
        """Apply a linear layer, BatchNorm and ReLU; see `_no_bias`."""
        (W,) = self.of(name, "W")
        z, cache = linear.forward(x, W, _no_bias(W))
        y, pull_normalised = self.normalised(name, self.step(f"{name}.z", z))

        def pull(dy: np.ndarray) -> np.ndarray:
            dx, dW, _ = linear.backward(pull_normalised(dy), *cache)
            self.note(name, W=dW)
            return dx

        return y, pull

    def scores(self, name: str, x: np.ndarray) -> tuple[np.ndarray, Pull]:
        """Apply a linear layer with a bias, and nothing behind it."""
        y, cache = linear.forward(x, *self.of(name, "W", "b"))

        def pull(dy: np.ndarray) -> np.ndarray:
            dx, dW, db = linear.backward(dy, *cache)
            self.note(name, W=dW, b=db)
            return dx

        return y, pull

    def transformed(self, name: str, x: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, Pull]:
        """Turn the points of each sample by its matrix: y[n, d, l] = Σ_c t[n, c, d] x[n, c, l]."""
        product: Any = bmm
        reuse = {}
        if self.derived:
            product, reuse = fast_bmm, {"buffers": self.buffers_of(name)}
        y, cache = product.forward(t.swapaxes(1, 2), x, **reuse)

        def pull(dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            dt, dx = product.backward(dy, *cache, **reuse)
            return dx, dt.swapaxes(1, 2)

        return y, pull


def _no_bias(W: np.ndarray) -> np.ndarray:
    """Return zeros in the place of a bias.

    BatchNorm subtracts the mean, and with it any bias in front of it, whose gradient is 0.
    """
    return np.zeros_like(W[:, 0])


def _chained(x: np.ndarray, layers: Sequence[Callable[[Any], Any]]) -> tuple[np.ndarray, Pull]:
    """Apply layers one after the other; their pulls go the other way round."""
    pulls = []
    for layer in layers:
        x, pull = layer(x)
        pulls.append(pull)

    def pull_all(dy: np.ndarray) -> np.ndarray:
        for pull in reversed(pulls):
            dy = pull(dy)
        return dy

    return x, pull_all


@dataclass(frozen=True)
class Output:
    """What a pass through the network returns."""

    scores: np.ndarray
    """Of shape (N, classes)."""
    transform: np.ndarray
    """The feature transform of each sample, of shape (N, C, C)."""
    feature: np.ndarray
    """The global feature, of shape (N, features[-1])."""
    places: np.ndarray
    """Which point gave each entry of it, of the same shape."""
    running: Arrays
    """Running means and variances after the pass; in evaluation mode empty."""
    pull: Callable[[np.ndarray, np.ndarray], Arrays]
    """From the upstream gradients of scores and transform to all gradients, by name.

    They are those of the parameters, and under "points" that of the points.
    """


class PointNet:
    """PointNet for classification.

    Parameters
    ----------
    settings : Settings, optional
        The sizes, those of the paper unless told otherwise.
    derived : bool
        Whether a convolution, its BatchNorm, its ReLU and the max run in the derived form of
        `backprop_lib.fast`. The parameters are the same, and so are the results but for rounding.
    dtype : NumPy type
        Of parameters and points: float32 or float64.
    seed : int
        The parameters drawn at first are a function of the seed.
    class_names : sequence of str
        What the classes are called, in the order of the labels; empty if nobody has said.

    Attributes
    ----------
    parameters : dict
        From names such as ``"features.conv1.W"`` to arrays, which an optimiser changes in place.
    running : dict
        Running means and variances, ``"features.conv1.mean"`` and so on.
    eps : float
        What BatchNorm adds to a variance. For proofs, which want exact roots, it may be a
        function, which is asked with the name of a block and with what it normalises (None in
        derived form).
    buffers : Buffers
        In derived form, where the large arrays of a pass are written. The next pass writes there
        again, so what a pass returned is to be used before. With None each pass makes new ones.

    Raises
    ------
    ValueError
        If dtype is another one, or class_names has not one name for each class.

    References
    ----------
    C. R. Qi et al., PointNet, CVPR 2017.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        derived: bool = False,
        dtype: Any = np.float32,
        seed: int = 0,
        class_names: Sequence[str] = (),
    ):
        self.settings = Settings() if settings is None else settings
        self.class_names = _checked_names(class_names, self.settings.classes)
        self.derived = derived
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype is {self.dtype}, expected float32 or float64")
        self.eps: Any = EPS
        self.buffers: Buffers | None = None
        rng = np.random.default_rng(seed)
        self.parameters: Arrays = {}
        self.running: Arrays = {}
        for name, c_in, c_out in self._blocks():
            self.parameters |= {
                f"{name}.W": self._drawn(rng, c_out, c_in, variance=2 / c_in),
                f"{name}.gamma": np.ones(c_out, self.dtype),
                f"{name}.beta": np.zeros(c_out, self.dtype),
            }
            self.running |= {
                f"{name}.mean": np.zeros(c_out, self.dtype),
                f"{name}.var": np.ones(c_out, self.dtype),
            }
        for name, c_in, c_out in self._outputs():
            # A transform begins as the identity, which is added to what its network says.
            variance = 1 / c_in if name == "head" else 0
            self.parameters |= {
                f"{name}.out.W": self._drawn(rng, c_out, c_in, variance=variance),
                f"{name}.out.b": np.zeros(c_out, self.dtype),
            }

    def _drawn(
        self, rng: np.random.Generator, c_out: int, c_in: int, *, variance: float
    ) -> np.ndarray:
        W: np.ndarray = rng.standard_normal((c_out, c_in)) * np.sqrt(variance)
        return W.astype(self.dtype)

    def _parts(self) -> Iterator[tuple[str, int, tuple[int, ...], tuple[int, ...]]]:
        """Yield each part, its inputs, and the sizes of its convolutions and linear layers."""
        s = self.settings
        yield "input_transform", s.channels, s.transform, s.transform_head
        yield "local", s.channels, s.local, ()
        yield "feature_transform", s.local[-1], s.transform, s.transform_head
        yield "features", s.local[-1], s.features, ()
        yield "head", s.features[-1], (), s.head

    def _blocks(self) -> Iterator[tuple[str, int, int]]:
        """Yield each layer that is followed by BatchNorm: name, inputs, outputs."""
        for part, c_in, convolutions, linears in self._parts():
            kinds = ["conv"] * len(convolutions) + ["linear"] * len(linears)
            sizes = pairwise((c_in, *convolutions, *linears))
            for i, (kind, (before, after)) in enumerate(zip(kinds, sizes, strict=True)):
                number = i + 1 if kind == "conv" else i + 1 - len(convolutions)
                yield f"{part}.{kind}{number}", before, after

    def _outputs(self) -> Iterator[tuple[str, int, int]]:
        """Yield each linear layer that is followed by nothing: part, inputs, outputs."""
        s = self.settings
        yield "input_transform", s.transform_head[-1], s.channels**2
        yield "feature_transform", s.transform_head[-1], s.local[-1] ** 2
        yield "head", s.head[-1], s.classes

    def forward(
        self,
        points: np.ndarray,
        *,
        training: bool,
        rng: np.random.Generator | None = None,
        parameters: Mapping[str, np.ndarray] | None = None,
    ) -> Output:
        """Run the network, and return with the scores the way back.

        Parameters
        ----------
        points : array, shape (N, channels, L)
            L points for each of N samples.
        training : bool
            Whether BatchNorm uses the statistics of this batch, and dropout drops. The network
            itself is not changed; `Output.running` has what is to be kept.
        rng : numpy.random.Generator, optional
            The source of what is dropped in training; not needed if dropout is 0.
        parameters : dict, optional
            In the place of the network's own.

        Raises
        ------
        ShapeError
            If points has another shape, no sample or no point, or in training a single sample.
        TypeError
            If points has another dtype than the network, or rng is missing.
        """
        self.check(points)
        self._check_training(points, training, rng)
        run = _Pass(
            self.parameters if parameters is None else parameters,
            self.running,
            training,
            self.derived,
            self.eps,
            self.buffers,
            keeps_statistics=points.dtype != object,
        )
        return self.joined(run, points, rng if training else None)

    def joined(self, run: _Pass, points: np.ndarray, rng: np.random.Generator | None) -> Output:
        """Join the parts, forwards and backwards; without rng nothing is dropped."""
        t_in, pull_t_in = self._transform(run, "input_transform", points)
        turned, pull_turned = run.transformed("turned", points, t_in)
        h, pull_h = _chained(turned, self._convolutions(run, "local"))
        t, pull_t = self._transform(run, "feature_transform", h)
        aligned, pull_aligned = run.transformed("aligned", h, t)
        feature, pull_feature = _chained(aligned, self._to_one_vector(run, "features"))
        hidden, pull_hidden = _chained(feature, self._linears(run, "head"))
        kept, pull_kept = self._dropped(hidden, rng)
        scores, pull_scores = run.scores("head.out", kept)

        def pull(dscores: np.ndarray, dt: np.ndarray) -> Arrays:
            run.gradients = {}
            dfeature = pull_hidden(pull_kept(pull_scores(dscores)))
            dh, dt_aligned = pull_aligned(pull_feature(dfeature))
            dh = dh + pull_t(dt + dt_aligned)  # h is used twice, and so is t
            dpoints, dt_in = pull_turned(pull_h(dh))
            dpoints = dpoints + pull_t_in(dt_in)  # as are the points
            return run.gradients | {"points": dpoints}

        places = run.places[self._names("features", "conv")[-1]]
        return Output(scores, t, feature, places, run.new_running, pull)

    def _transform(self, run: _Pass, part: str, x: np.ndarray) -> tuple[np.ndarray, Pull]:
        """Return a matrix for each sample: the identity, plus what a small PointNet says."""
        layers = [*self._to_one_vector(run, part), *self._linears(run, part)]
        out, pull = _chained(x, [*layers, lambda h: run.scores(f"{part}.out", h)])
        N, C, _ = x.shape
        identity: np.ndarray = np.eye(C, dtype=x.dtype, like=x)
        return out.reshape(N, C, C) + identity, lambda dt: pull(dt.reshape(N, C * C))

    def _names(self, part: str, kind: str) -> list[str]:
        return [name for name, _, _ in self._blocks() if name.startswith(f"{part}.{kind}")]

    def _convolutions(self, run: _Pass, part: str) -> list[Callable[[Any], Any]]:
        return [_bound(run.convolved, name) for name in self._names(part, "conv")]

    def _to_one_vector(self, run: _Pass, part: str) -> list[Callable[[Any], Any]]:
        """Return a part's convolutions, the last one with the max over the points."""
        *_, last = self._names(part, "conv")
        return [*self._convolutions(run, part)[:-1], _bound(run.convolved_max, last)]

    def _linears(self, run: _Pass, part: str) -> list[Callable[[Any], Any]]:
        return [_bound(run.connected, name) for name in self._names(part, "linear")]

    def _dropped(self, x: np.ndarray, rng: np.random.Generator | None) -> tuple[np.ndarray, Pull]:
        if rng is None or self.settings.dropout == 0:
            return x, lambda dy: dy
        mask = dropout.draw_mask(x.shape, self.settings.dropout, rng).astype(self.dtype)
        y, cache = dropout.forward(x, mask)
        return y, lambda dy: dropout.backward(dy, *cache)

    def check(self, points: np.ndarray) -> None:
        """Refuse points that do not fit the network.

        Raises
        ------
        ShapeError
            If the shape is not (N, channels, L), or there is no sample or no point.
        TypeError
            If they are no array, or the dtype is not that of the network.
        """
        if (why := why_not_plain("points", points)) is not None:
            raise TypeError(f"expected points to be {self.dtype}: {why}")
        if not isinstance(points, np.ndarray):
            raise TypeError(
                f"points is of type {type(points).__name__}, expected a NumPy array of {self.dtype}"
            )
        shape = points.shape
        expected = f"(N, {self.settings.channels}, L)"
        if len(shape) != 3 or shape[1] != self.settings.channels:
            raise ShapeError(f"points has shape {shape}, expected {expected}")
        if 0 in shape:
            raise ShapeError(f"points has shape {shape}, expected {expected} with no empty axis")
        if points.dtype not in (self.dtype, object):  # objects are exact numbers, for proofs
            raise TypeError(
                f"points holds {points.dtype}, expected {self.dtype}, that of the network: "
                f"points.astype(np.{self.dtype})"
            )

    def _check_training(
        self, points: np.ndarray, training: bool, rng: np.random.Generator | None
    ) -> None:
        if training and len(points) < 2:
            raise ShapeError(
                f"points has shape {points.shape}, which is one sample; training needs at least "
                "2, of whose features BatchNorm takes the variance"
            )
        if training and self.settings.dropout and rng is None:
            raise TypeError(
                f"rng is missing: dropout is {self.settings.dropout}, and needs a "
                "numpy.random.Generator in training"
            )

    def loss_and_gradients(
        self,
        points: np.ndarray,
        labels: np.ndarray,
        *,
        regulariser: float = 0.001,
        rng: np.random.Generator | None = None,
    ) -> tuple[float, Arrays]:
        """Return the loss of a batch in training, and the gradient of each parameter.

        L = −(1/N) Σ_n log p[n, labels[n]] + λ/N Σ_n ‖A_n A_nᵀ − I‖²    (network-loss),

        with A the feature transform and λ the regulariser. The running statistics move on.

        Parameters
        ----------
        points : array, shape (N, channels, L)
            At least 2 samples.
        labels : array of integers, shape (N,)
            From 0 to classes - 1.
        regulariser : float
            The weight λ of the orthogonality penalty.
        rng : numpy.random.Generator, optional
            As for `forward`.

        Returns
        -------
        loss : float
        gradients : dict
            By the names of the parameters; under "points" that of the points.

        Raises
        ------
        ShapeError, TypeError, ValueError
            As `forward` and `log_softmax_nll.forward`.
        """
        out = self.forward(points, training=True, rng=rng)
        loss, gradients = loss_and_gradients_of(out, labels, regulariser)
        self.running |= out.running
        return loss, gradients

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Return the most likely class of each sample, in evaluation mode.

        Parameters
        ----------
        points : array, shape (N, channels, L)

        Returns
        -------
        array of integers, shape (N,)
        """
        best: np.ndarray = self.forward(points, training=False).scores.argmax(axis=1)
        return best

    def critical_points(self, points: np.ndarray) -> np.ndarray:
        """Return which point gave each entry of the global feature its value.

        This is the note's index s: k[n, c] is the place of the largest entry of channel c.

        Parameters
        ----------
        points : array, shape (N, channels, L)

        Returns
        -------
        array of integers, shape (N, features[-1])
        """
        return self.forward(points, training=False).places


def loss_and_gradients_of(
    out: Output, labels: np.ndarray, regulariser: float
) -> tuple[float, Arrays]:
    """Return the loss (network-loss) of a pass, and pull its gradient through the network.

    Parameters
    ----------
    out : Output
        Of `PointNet.forward`.
    labels, regulariser
        As for `PointNet.loss_and_gradients`.

    Returns
    -------
    loss : float
    gradients : dict
    """
    dtype = out.scores.dtype.type
    loss, cache = log_softmax_nll.forward(out.scores, labels)
    penalties, penalty_cache = orthogonality.forward(out.transform)
    weight = dtype(regulariser / len(penalties))
    dscores = log_softmax_nll.backward(np.asarray(dtype(1)), *cache)
    dt = orthogonality.backward(np.full_like(penalties, weight), *penalty_cache)
    return float(loss + weight * penalties.sum()), out.pull(dscores, dt)


def as_functions(
    settings: Settings,
) -> tuple[Callable[..., Any], Callable[..., Any], dict[str, str]]:
    """Return the network in training as a forward, a backward, and the axes of their arrays.

    That is what a proof takes: how many layers there are is known, and no size. The steps of both
    functions are named, two for each block.

    Parameters
    ----------
    settings : Settings
        How many layers there are. Of their sizes nothing is used, and nothing is dropped.

    Returns
    -------
    forward, backward : functions
        Forward takes the points and all parameters by their names, with ``_`` for dots, and returns
        the scores and, beside them, the penalties of the feature transform: (N, classes + 1).
    shapes : dict
        The axes of the arrays that it takes.
    """
    number = count(100)  # no two sizes are equal, so that they tell the axes apart
    parts = ("local", "features", "head", "transform", "transform_head")
    sizes = {part: tuple(next(number) for _ in getattr(settings, part)) for part in parts}
    channels, classes = next(number), next(number)
    network = PointNet(Settings(channels, classes, dropout=0, **sizes))
    axes = {channels: "C", classes: "K"}
    axes |= {size: f"{part[0].upper()}_{size}" for part in parts for size in sizes[part]}
    axes |= {size**2: f"{name}*{name}" for size, name in [*axes.items()]}
    names = {_identifier(name): name for name in network.parameters}
    shapes = {"points": "N C L"} | {
        name: " ".join(axes[size] for size in network.parameters[own].shape)
        for name, own in names.items()
    }

    def forward(points: Any, **parameters: Any) -> tuple[Any, Any]:
        own = {names[name]: value for name, value in parameters.items()}
        run = _Pass(own, {}, training=True, derived=False, eps=EPS, keeps_statistics=False)
        out = network.joined(run, points, None)
        penalties, cache = orthogonality.forward(out.transform)
        return np.concatenate([out.scores, penalties[:, None]], axis=1), (out.pull, cache)

    def backward(dy: Any, pull: Any, cache: Any) -> list[Any]:
        gradients = pull(dy[:, :-1], orthogonality.backward(dy[:, -1], *cache))
        return [gradients["points"], *(gradients[own] for own in names.values())]

    of_forward = [Parameter(name, Parameter.KEYWORD_ONLY) for name in shapes]
    forward.__signature__ = Signature(of_forward)  # type: ignore[attr-defined]
    return forward, backward, shapes


def _identifier(name: str) -> str:
    return name.replace(".", "_")


def _bound(method: Callable[[str, Any], Any], name: str) -> Callable[[Any], Any]:
    return lambda x: method(name, x)
