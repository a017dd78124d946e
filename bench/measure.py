"""The measurements: who is compared with whom, at which sizes, in how many rounds."""

import math
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.calibration import COPIED, SIZE
from bench.processes import Process, running
from bench.report import CANDIDATES, plural, significant
from bench.tasks import LAYERS, STEP, Task, after, arithmetic, traffic

Arrays = dict[str, np.ndarray]
Errors = list[tuple[float, str]]
ALL = tuple(CANDIDATES)
OF_GROWTH = tuple(name for name in ALL if name != "derived-new")
OF_LAYERS = ("derived", "readable", "torch", "torch+")
OF_ACCURACY = ("derived", "readable", "torch")
REFERENCE = "torch"
START = time.monotonic()
SAME = 1e-10
"""How far two candidates may be from each other in float64."""
ZERO = 1e-10
"""A gradient this far below the largest one is 0 but for rounding, and has no relative error."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    The settings are those of a full run, which takes 15 to 25 minutes.
    """

    quick: bool = False
    N: int = 32
    L: int = 1024
    step_rounds: int = 11
    layer_rounds: int = 7
    growth_rounds: int = 3
    growth: tuple[tuple[int, int], ...] = ((8, 1024), (16, 1024), (32, 256), (32, 512))
    dropout: float = 0.3
    idle_seconds: float = 0.15
    """Before each sample, so that no candidate pays for the one before."""
    slow_seconds: float = 3.0
    """A step that takes longer is timed in every third round only."""
    sample_seconds: float = 0.1
    """A sample of a layer repeats it for at least so long."""
    offsets: tuple[float, ...] = (0.0, 100.0)
    batches: int = 3
    """Of the step's accuracy: rounding can change which entry is the largest, and with it much."""
    seed: int = 0


QUICK = Plan(
    quick=True,
    N=8,
    step_rounds=3,
    layer_rounds=3,
    growth_rounds=1,
    growth=((4, 1024), (8, 256)),
    idle_seconds=0.05,
    sample_seconds=0.03,
    batches=1,
)
PARTS = ("step", "layers", "step-2-threads", "layers-2-threads", "growth", "accuracy")
QUICK_PARTS = ("step", "layers")


@dataclass
class Measured:
    """What was found so far."""

    times: list[dict[str, Any]] = field(default_factory=list)
    accuracy: list[dict[str, Any]] = field(default_factory=list)
    equality: list[dict[str, Any]] = field(default_factory=list)
    calibration: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    kernels: dict[str, list[str]] = field(default_factory=dict)


class DifferError(RuntimeError):
    """Candidates that do not compute the same thing, whose times would mean nothing."""


def measure(plan: Plan, parts: Iterable[str]) -> Measured:
    """Check that all candidates compute the same, then measure the parts one after the other.

    Raises
    ------
    DifferError
        If they do not.
    WorkerError
        If a candidate fails.
    """
    found = Measured()
    step = Task(STEP, N=plan.N, L=plan.L, dropout=plan.dropout)
    chosen = [part for part in PARTS if part in set(parts)]
    check_equality(found)
    for part in chosen:
        threads = 2 if part.endswith("2-threads") else 1
        if part.startswith("step"):
            measure_step(found, plan, part, replace(step, threads=threads), plan.step_rounds)
        elif part.startswith("layers"):
            measure_layers(found, plan, part, threads)
        elif part == "growth":
            for N, L in plan.growth:
                task, name = replace(step, N=N, L=L), f"growth {N} x {L}"
                measure_step(found, plan, name, task, plan.growth_rounds, OF_GROWTH)
        else:
            measure_accuracy(found, plan)
    return found


def say(text: str) -> None:
    """Tell who waits where the benchmark is, and since when it runs."""
    print(f"{time.monotonic() - START:5.0f} s  {text}", file=sys.stderr, flush=True)


def check_equality(found: Measured) -> None:
    """Let every candidate compute small networks and layers in float64, and compare."""
    say("all candidates must compute the same: checking")
    step = Task(STEP, N=3, L=5, dtype="float64", small=True)
    layers = [replace(step, name=name) for name in LAYERS]
    expected: dict[str, Arrays] = {}
    for candidate in ("readable", *(name for name in ALL if name != "readable")):
        tasks = [step, *(layers if candidate in OF_LAYERS else [])]
        with Process(candidate, 1) as process:
            for task in tasks:
                values = values_of(process, task, steps=task.name == STEP)
                if candidate == "readable":
                    expected[task.name] = values
                    continue
                off, name = difference(values, expected[task.name])
                if not off <= SAME:
                    raise DifferError(
                        f"{candidate} and readable differ in {name} of {task.name} by {off:.1e} "
                        f"of its size in float64, expected at most {SAME:.0e}"
                    )
                found.equality.append(
                    {"task": task.name, "candidate": candidate, "difference": significant(off, 2)}
                )
            status = process.ask("status")
            found.versions |= {"python": status["python"], **status["versions"]}


def values_of(process: Process, task: Task, *, steps: bool = False) -> Arrays:
    """Return what a candidate computes."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "values.npz")
        process.ask("load", key="check", task=task.as_dict(), warm=0)
        process.ask("values", key="check", file=file, steps=steps)
        process.ask("drop", key="check")
        with np.load(file) as arrays:
            return {name: arrays[name] for name in arrays.files}


def difference(values: Arrays, expected: Arrays) -> tuple[float, str]:
    """Return the largest difference relative to an array's largest entry, and the array's name.

    An array of entries that are 0 but for rounding is compared with the largest entry of all. Of
    parameters after some steps, those with such a gradient are left out: Adam enlarges rounding.

    Raises
    ------
    DifferError
        If names or shapes differ.
    """
    if {k: v.shape for k, v in values.items()} != {k: v.shape for k, v in expected.items()}:
        raise DifferError("the candidates' results differ in names or shapes")
    largest = max(size(array) for array in expected.values())
    learns = {after(name): np.abs(g) > ZERO * largest for name, g in expected.items()}
    return worst(
        (
            size((values[name] - array) * learns.get(name, 1)) / max(size(array), 1e-6 * largest),
            name,
        )
        for name, array in expected.items()
    )


def size(array: np.ndarray) -> float:
    """Return the largest absolute entry; NaN if there is one."""
    return float(np.abs(array).max())


def measure_step(
    found: Measured,
    plan: Plan,
    part: str,
    task: Task,
    rounds: int,
    candidates: Sequence[str] = ALL,
) -> None:
    """Time the whole step of all candidates, interleaved, each in a new process."""
    threads = task.threads
    say(f"{part}: {plural(len(candidates), 'candidate')}, {plural(rounds, 'round')}")
    with running(candidates, threads) as processes, Process("calibration", threads) as calibrator:
        calibration = Calibration(calibrator, part, threads)
        how = {}
        for name, process in processes.items():
            seconds = process.ask("load", key=STEP, task=task.as_dict(), warm=2)["seconds"]
            how[name] = Sampling(every=3 if seconds > plan.slow_seconds else 1)
        samples = sample_in_rounds(plan, processes, STEP, how, rounds, calibration)
        for name, process in processes.items():
            status = process.ask("status")
            if part == "step":
                found.kernels[name] = status["kernels"]
            add_times(found, task, name, samples[name], status["peak_bytes"])
        found.calibration.append(calibration.entry())


def measure_layers(found: Measured, plan: Plan, part: str, threads: int) -> None:
    """Time each layer of the candidates that have layers, interleaved."""
    rounds = plan.layer_rounds
    say(f"{part}: {plural(len(LAYERS), 'layer')}, {plural(rounds, 'round')}")
    with running(OF_LAYERS, threads) as processes, Process("calibration", threads) as calibrator:
        calibration = Calibration(calibrator, part, threads)
        for layer in LAYERS:
            task = Task(layer, N=plan.N, L=plan.L, threads=threads)
            how = {}
            for name, process in processes.items():
                seconds = process.ask("load", key=layer, task=task.as_dict(), warm=2)["seconds"]
                short = seconds < plan.sample_seconds
                how[name] = Sampling(warm=int(short), repeat=repeats(plan, seconds))
            samples = sample_in_rounds(plan, processes, layer, how, rounds, calibration)
            for name, process in processes.items():
                process.ask("drop", key=layer)
                add_times(found, task, name, samples[name], None)
        found.calibration.append(calibration.entry())


@dataclass(frozen=True)
class Sampling:
    """How a candidate is timed: how often for one sample, after how many runs without a clock."""

    every: int = 1
    """In which rounds: 3 is each third one, the first among them."""
    repeat: int = 1
    warm: int = 0


def repeats(plan: Plan, seconds: float) -> int:
    """Return how often something that takes so long is run for one sample."""
    return min(100, max(1, math.ceil(plan.sample_seconds / seconds)))


class Calibration:
    """What the machine can do, asked once in each round."""

    def __init__(self, process: Process, part: str, threads: int):
        self.process, self.part, self.threads = process, part, threads
        self.product: list[float] = []
        self.copy: list[float] = []
        for name in ("product", "copy"):
            process.ask("load", key=name, task=Task(name, threads=threads).as_dict(), warm=2)

    def sample(self) -> None:
        """Measure both."""
        product = self.process.ask("sample", key="product", repeat=3, warm=1)["seconds"]
        copy = self.process.ask("sample", key="copy", repeat=1, warm=0)["seconds"]
        self.product.append(significant(2 * SIZE**3 / product / 1e9))
        self.copy.append(significant(2 * COPIED / copy / 1e9))

    def entry(self) -> dict[str, Any]:
        """Return what was found, for the results."""
        return {
            "part": self.part,
            "threads": self.threads,
            "product_gflop_per_s": self.product,
            "copy_gb_per_s": self.copy,
        }


def sample_in_rounds(
    plan: Plan,
    processes: dict[str, Process],
    key: str,
    how: dict[str, Sampling],
    rounds: int,
    calibration: Calibration,
) -> dict[str, list[dict[str, Any]]]:
    """Ask every candidate for a sample in each round, in an order that is shuffled anew."""
    order = random.Random(f"{plan.seed} {calibration.part} {key}")
    names = list(processes)
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        calibration.sample()
        order.shuffle(names)
        for name in names:
            s = how[name]
            if number % s.every == 0:
                time.sleep(plan.idle_seconds)
                told = processes[name].ask("sample", key=key, repeat=s.repeat, warm=s.warm)
                samples[name].append(told)
    return samples


def add_times(
    found: Measured,
    task: Task,
    candidate: str,
    samples: Sequence[dict[str, Any]],
    peak: int | None,
) -> None:
    """Keep the samples of a candidate."""
    derived = candidate.startswith("derived")
    found.times.append(
        {
            "task": task.name,
            "N": task.N,
            "L": task.L,
            "threads": task.threads,
            "candidate": candidate,
            "seconds": [significant(sample["seconds"]) for sample in samples],
            "gflop": significant(arithmetic(task, derived=derived) / 1e9),
            "traffic_mb": significant(traffic(task) / 1e6),
            "peak_mb": None if peak is None else significant(peak / 1e6),
            "page_faults": int(np.median([sample["faults"] for sample in samples])),
        }
    )


def measure_accuracy(found: Measured, plan: Plan) -> None:
    """Compare gradients in float32 with those in float64, with inputs near 0 and far from it."""
    with running(OF_ACCURACY, 1) as processes:
        for name in (STEP, "block 64-128", "block+max 128-1024", "batchnorm 128"):
            for offset in plan.offsets:
                say(f"accuracy: {name}, offset {offset:g}")
                task = Task(name, N=plan.N, L=plan.L, offset=offset)
                batches = plan.batches if name == STEP else 1
                for candidate, errors in accuracy(processes, task, batches).items():
                    off, what = worst(errors)
                    found.accuracy.append(
                        {
                            "task": name,
                            "N": task.N,
                            "L": task.L,
                            "offset": offset,
                            "candidate": candidate,
                            "error": significant(off, 2),
                            "of": what,
                            "typical": significant(float(np.median([e for e, _ in errors])), 2),
                        }
                    )


def accuracy(processes: dict[str, Process], task: Task, batches: int) -> dict[str, Errors]:
    """Return the errors of each candidate's gradients, and of ours in float64, over batches."""
    ours = "derived, float64"
    found: dict[str, Errors] = {name: [] for name in (ours, *processes)}
    for batch in range(batches):
        single = replace(task, batch=batch)
        double = replace(single, dtype="float64")
        reference = gradients_of(processes[REFERENCE], double)
        found[ours] += relative_errors(gradients_of(processes["derived"], double), reference)
        for name, process in processes.items():
            found[name] += relative_errors(gradients_of(process, single), reference)
    return found


def gradients_of(process: Process, task: Task) -> Arrays:
    """Return the gradients that a candidate computes."""
    values = values_of(process, task)
    return {name: value for name, value in values.items() if name not in ("loss", "y")}


def relative_errors(values: Arrays, reference: Arrays) -> Errors:
    """Return the relative error of each array, by its norm, with the array's name.

    Gradients that are 0 but for rounding are left out: BatchNorm takes away what the shift in
    front of a max and a linear layer adds.
    """
    norms = {name: float(np.linalg.norm(array)) for name, array in reference.items()}
    least = ZERO * max(norms.values())
    return [
        (float(np.linalg.norm(values[name] - reference[name])) / norm, name)
        for name, norm in norms.items()
        if norm > least
    ]


def worst(found: Iterable[tuple[float, str]]) -> tuple[float, str]:
    """Return the largest error with its name; NaN is larger than any number."""
    return max(found, key=lambda error: math.inf if math.isnan(error[0]) else error[0])
