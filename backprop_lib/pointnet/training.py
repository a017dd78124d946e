"""Training of a PointNet: the same from the same seed, and resumable after any batch.

Derived in the chapter "Training".
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

from backprop_lib.arguments import check_array, check_choice, check_number
from backprop_lib.optim import Adam, NotFiniteError, Schedule, cosine, step_decay
from backprop_lib.pointnet import weights
from backprop_lib.pointnet.network import PointNet

Arrays = dict[str, np.ndarray]
SCHEDULES = ("constant", "step", "cosine")
BATCH_AT_ONCE = 256


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Parameters
    ----------
    epochs, batch : int
        How often each sample is seen, and how many samples make one step. What is left over at
        the end of an epoch is left out; each epoch shuffles anew.
    rate : float
        Adam's learning rate at first.
    schedule : str
        "constant"; "step", which halves the rate four times; or "cosine".
    weight_decay : float
        AdamW's.
    regulariser : float
        The weight of the orthogonality penalty.
    turn, stretch, shift, jitter : float
        Each time a sample is seen, its first two coordinates are turned by up to ``turn``
        radians, stretched by a factor of up to 1 ± ``stretch``, and shifted by up to ``shift``;
        each point is moved by a normal distribution of width ``jitter``. Zeros do nothing.
    seed : int
        Of the order of samples, of dropout, and of those changes.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range or is none, or the schedule another one.
    """

    epochs: int = 50
    batch: int = 32
    rate: float = 0.002
    schedule: str = "cosine"
    weight_decay: float = 0.0
    regulariser: float = 0.001
    turn: float = 0.0
    stretch: float = 0.0
    shift: float = 0.0
    jitter: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        bounds = {field.name: (field.type, ">= 0") for field in fields(self)}
        bounds |= {"epochs": (int, ">= 1"), "batch": (int, ">= 2")}
        del bounds["schedule"]
        for name, (kind, bound) in bounds.items():
            object.__setattr__(self, name, check_number(name, getattr(self, name), kind, bound))
        check_choice("schedule", self.schedule, SCHEDULES)

    def rates(self, steps: int) -> float | Schedule:
        """Return the learning rate for a training of so many steps."""
        if self.schedule == "cosine":
            return cosine(self.rate, steps, warmup=min(steps - 1, steps // 20))
        if self.schedule == "step":
            return step_decay(self.rate, max(1, steps // 5))
        return self.rate


@dataclass(frozen=True)
class Step:
    """What one step of a training was."""

    epoch: int
    """Counted from 1, as is the batch."""
    batch: int
    batches: int
    """How many there are in an epoch."""
    loss: float
    rate: float


@dataclass
class Progress:
    """Where a training is, and how the loss fell."""

    epoch: int = 0
    batch: int = 0
    """How many epochs, and how many batches of the next one, are done."""
    losses: list[float] = field(default_factory=list)
    """The loss of each step."""


class Training:
    """A network, what teaches it, and how far that is.

    The random numbers of a batch are a function of the seed, the epoch and the batch alone. So a
    training that was saved and resumed goes on exactly as if it had never stopped.

    Parameters
    ----------
    network : PointNet
        It is changed in place.
    plan : Plan
    points : array, shape (N, channels, L)
        Of the network's dtype.
    labels : array of integers, shape (N,)

    Raises
    ------
    ValueError
        If there are fewer samples than a batch needs, or a label is no class of the network.
    ShapeError, TypeError
        As `PointNet.forward`, or if labels is not an array of integers of this shape.
    """

    def __init__(self, network: PointNet, plan: Plan, points: np.ndarray, labels: np.ndarray):
        network.check(points)
        check_labels(labels, points, network.settings.classes)
        if len(points) < plan.batch:
            raise ValueError(
                f"points has N = {len(points)}, expected at least one batch of {plan.batch}"
            )
        self.network = network
        self.plan = plan
        self.points = points
        self.labels = labels
        self.batches = len(points) // plan.batch
        self.progress = Progress()
        self.adam = Adam(
            network.parameters,
            plan.rates(plan.epochs * self.batches),
            weight_decay=plan.weight_decay,
            decoupled=True,
        )

    @property
    def done(self) -> bool:
        """Whether all epochs are done."""
        return self.progress.epoch >= self.plan.epochs

    def steps(self) -> Iterator[Step]:
        """Train to the end, and yield after each step; to stop in between is safe."""
        while not self.done:
            yield self.step()

    def step(self) -> Step:
        """Train with the next batch.

        Raises
        ------
        NotFiniteError
            If a gradient is no longer finite, and the parameters are those before this step; or
            if they or the running statistics are not finite after it. Epoch and step are named.
        """
        plan, progress = self.plan, self.progress
        chosen = self._order(progress.epoch)[progress.batch * plan.batch :][: plan.batch]
        rng = np.random.default_rng([plan.seed, progress.epoch, progress.batch, 1])
        with self._divergence_told():
            points = changed(self.points[chosen], plan, rng)
            loss, gradients = self.network.loss_and_gradients(
                points, self.labels[chosen], regulariser=plan.regulariser, rng=rng
            )
            rate = self.adam.step(gradients)
        progress.losses.append(loss)
        step = Step(progress.epoch + 1, progress.batch + 1, self.batches, loss, rate)
        progress.batch += 1
        if progress.batch == self.batches:
            progress.epoch, progress.batch = progress.epoch + 1, 0
        return step

    @contextmanager
    def _divergence_told(self) -> Iterator[None]:
        """Tell once, and where, that numbers are not finite, and not at each operation."""
        try:
            with np.errstate(all="ignore"):
                yield
            for name, array in weights.arrays_of(self.network).items():
                if not np.isfinite(array).all():
                    raise NotFiniteError(f"{name} is not finite after the step")
        except NotFiniteError as why:
            advice = (
                f"the rate is {self.plan.rate:g}, and a smaller one may help"
                if self.adam.steps
                else "no step was taken yet, so the rate is not the cause"
            )
            raise NotFiniteError(
                f"epoch {self.progress.epoch + 1}, step {self.progress.batch + 1}: {why}; {advice}"
            ) from None

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.plan.seed, epoch, 0]).permutation(len(self.points))

    def save(self, path: str | Path) -> None:
        """Write all that `resume` needs, and the network, which `weights.load` reads.

        Raises
        ------
        OSError
            If the file cannot be written; the one that was there before stays.
        """
        progress = self.progress
        told = {
            **weights.described(self.network),
            "plan": asdict(self.plan),
            "epoch": progress.epoch,
            "batch": progress.batch,
            "data": fingerprint(self.points, self.labels),
        }
        arrays = {
            **weights.arrays_of(self.network),
            **{f"adam/{name}": value for name, value in self.adam.state().items()},
            "losses": np.array(progress.losses, np.float64),
        }
        weights.write(path, "training", told, arrays)

    @classmethod
    def resume(
        cls, path: str | Path, points: np.ndarray, labels: np.ndarray, *, derived: bool = False
    ) -> "Training":
        """Go on with a training that was saved.

        Parameters
        ----------
        path : str or Path
        points, labels : arrays
            The same as before.
        derived : bool
            As for `PointNet`. Only with the same choice as before is the result the same to the
            last bit.

        Raises
        ------
        WeightsError
            If the file is no saved training, is damaged, or was made with other data.
        OSError
            If it cannot be read.
        """
        told, arrays = weights.read(path, "training")
        network = weights.network_from(path, told, derived)
        weights.fill(path, network, arrays)
        try:
            plan, data = Plan(**told["plan"]), told["data"]
            progress = Progress(int(told["epoch"]), int(told["batch"]), arrays["losses"].tolist())
        except (KeyError, TypeError, ValueError) as why:
            raise weights.WeightsError(f"{path}: it does not say how to go on: {why}") from None
        network.check(points)
        check_labels(labels, points, network.settings.classes)
        if data != fingerprint(points, labels):
            raise weights.WeightsError(f"{path}: it was trained with other points or labels")
        training = cls(network, plan, points, labels)
        state = {n.removeprefix("adam/"): a for n, a in arrays.items() if n.startswith("adam/")}
        try:
            training.adam.restore(state)
        except ValueError as why:
            raise weights.WeightsError(f"{path}: {why}") from None
        training.progress = progress
        return training


def changed(points: np.ndarray, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """Turn, stretch, shift and jitter the first two coordinates of each sample.

    Parameters
    ----------
    points : array, shape (N, channels, L)
        Not changed itself.
    plan : Plan
    rng : numpy.random.Generator

    Returns
    -------
    array, of the shape and dtype of points
    """
    if not (plan.turn or plan.stretch or plan.shift or plan.jitter):
        return points
    N, _, L = points.shape
    angle = rng.uniform(-plan.turn, plan.turn, N)
    stretch = 1 + rng.uniform(-plan.stretch, plan.stretch, (N, 2, 1))
    shift = rng.uniform(-plan.shift, plan.shift, (N, 2, 1))
    noise = plan.jitter * rng.standard_normal((N, 2, L))
    c, s = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], 1)
    result = points.copy()
    result[:, :2] = (turn @ points[:, :2]) * stretch + shift + noise
    return result


def accuracy(network: PointNet, points: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of samples whose class the network predicts.

    Parameters
    ----------
    network : PointNet
    points : array, shape (N, channels, L)
    labels : array of integers, shape (N,)
    """
    network.check(points)
    check_labels(labels, points, network.settings.classes)
    return float((predictions(network, points) == labels).mean())


def predictions(network: PointNet, points: np.ndarray) -> np.ndarray:
    """Return the most likely class of any number of samples, some hundred at a time.

    Parameters
    ----------
    network : PointNet
    points : array, shape (N, channels, L)

    Returns
    -------
    array of integers, shape (N,)
    """
    network.check(points)
    parts = range(0, len(points), BATCH_AT_ONCE)
    return np.concatenate([network.predict(points[i : i + BATCH_AT_ONCE]) for i in parts])


def check_labels(labels: np.ndarray, points: np.ndarray, classes: int) -> None:
    """Refuse labels that are none.

    Raises
    ------
    TypeError, ShapeError
        If they are not an array of integers, one for each sample.
    ValueError
        If they are not from 0 to classes - 1.
    """
    check_array("training", "labels", labels, "iu", (len(points),))
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise ValueError(
            f"labels[{wrong[0]}] is {labels[wrong[0]]}, expected 0 to {classes - 1}: "
            f"the network tells {classes} classes apart"
        )


def fingerprint(points: np.ndarray, labels: np.ndarray) -> str:
    """Return what tells these data from others."""
    seen = hashlib.sha256()
    for array in (points, labels.astype(np.int64)):
        seen.update(f"{array.dtype.name} {array.shape}".encode())
        seen.update(np.ascontiguousarray(array).tobytes())
    return seen.hexdigest()
