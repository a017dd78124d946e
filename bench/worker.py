"""The process of one candidate: it prepares tasks, runs them and tells how long that took.

It reads commands from standard input and writes answers to standard output, each a line of JSON.
It is started by `bench.processes`, in an environment that pins threads before any library loads.
"""

import gc
import json
import os
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any, TextIO

PEERS = {
    "derived": "ours.prepare_derived",
    "derived-new": "ours.prepare_derived_new",
    "readable": "ours.prepare_readable",
    "torch": "pytorch.prepare",
    "torch+": "pytorch.prepare",
    "jax": "jax_jit.prepare",
    "autograd": "hips.prepare",
    "calibration": "calibration.prepare",
}
PACKAGES = ("numpy", "torch", "jax", "jaxlib", "autograd", "backprop_lib")


class Worker:
    """What a candidate's process holds."""

    def __init__(self, candidate: str):
        if candidate != "jax":
            # jaxtyping, which checks our shapes, loads JAX where it is installed; who reads the
            # book has none, and its memory is no part of ours
            sys.modules["jax"] = None  # type: ignore[assignment]
        module, _, function = PEERS[candidate].partition(".")
        self.prepare: Callable[..., Any] = getattr(import_module(f"bench.peers.{module}"), function)
        self.programs: dict[str, Any] = {}

    def load(self, key: str, task: dict[str, Any], warm: int) -> dict[str, Any]:
        """Prepare a task, run it a few times, and tell how long the last time took."""
        from bench.tasks import Task

        self.programs[key] = program = self.prepare(Task(**task))
        start = perf_counter()
        for _ in range(warm):
            start = perf_counter()
            program.run()
        return {"seconds": perf_counter() - start}

    def drop(self, key: str) -> dict[str, Any]:
        """Forget a task."""
        del self.programs[key]
        gc.collect()
        return {}

    def sample(self, key: str, repeat: int, warm: int) -> dict[str, Any]:
        """Run a task several times, and tell the seconds and page faults of one."""
        run = self.programs[key].run
        gc.collect()
        for _ in range(warm):
            run()
        faults = page_faults()
        start = perf_counter()
        for _ in range(repeat):
            run()
        seconds = (perf_counter() - start) / repeat
        return {"seconds": seconds, "faults": (page_faults() - faults) // repeat}

    def values(self, key: str, file: str, steps: bool) -> dict[str, Any]:
        """Write what a task computes, with steps also the parameters after some steps."""
        import numpy as np

        from bench.tasks import STEPS, after

        program = self.programs[key]
        values = {name: value.copy() for name, value in program.values().items()}
        if steps:
            for _ in range(STEPS):
                program.run()
            values |= {after(name): value for name, value in program.parameters().items()}
        np.savez(file, **values)
        return {}

    def status(self) -> dict[str, Any]:
        """Tell what this process is and how much memory it has used at most."""
        return {
            "peak_bytes": peak_bytes(),
            "python": platform.python_version(),
            "versions": dict(versions()),
            "kernels": kernels(),
        }


def versions() -> Any:
    """Yield the packages that this process has loaded."""
    for package in PACKAGES:
        if sys.modules.get(package):
            with suppress(PackageNotFoundError):
                yield package, version(package)


def kernels() -> list[str]:
    """Return which libraries multiply matrices here, for which processor, with how many threads."""
    from threadpoolctl import threadpool_info

    told = []
    for pool in threadpool_info():
        name = pool.get("internal_api") or pool.get("user_api") or "unknown"
        of = pool.get("architecture") or ""
        told.append(f"{name} {pool.get('version') or ''} {of} x{pool['num_threads']}")
    if sys.modules.get("torch"):
        import torch

        told.append(f"torch {torch.backends.cpu.get_cpu_capability()} x{torch.get_num_threads()}")
    return sorted({" ".join(line.split()) for line in told})


def page_faults() -> int:
    """Return how often this process got a page of memory that it had not before."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def peak_bytes() -> int:
    """Return the most memory that this process had at once.

    Linux' own figure also counts what the process was before it became this program, hence the
    file of the system.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf8").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def serve(candidate: str, commands: TextIO, answers: TextIO) -> None:
    """Answer each command until there are no more."""
    worker: Worker | None = None
    for line in commands:
        try:
            worker = worker or Worker(candidate)
            command = json.loads(line)
            answer = getattr(worker, command.pop("do"))(**command)
        except Exception as error:  # told to who asked, whatever it is
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Serve, on an output that no library's own print can reach."""
    candidate, core_list = sys.argv[1], sys.argv[2]
    if core_list and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in core_list.split(",")})
    answers = os.fdopen(os.dup(1), "w", encoding="utf8")
    os.dup2(2, 1)
    serve(candidate, sys.stdin, answers)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
