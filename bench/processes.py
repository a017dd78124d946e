"""Candidates in processes of their own: their environment, and how they are asked."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

ROOT = Path(__file__).resolve().parent.parent
CLEARED = ("OPENBLAS_", "OMP_", "MKL_", "KMP_", "GOMP_", "XLA_", "JAX_", "MALLOC_", "THP_")
LARGE = str(1 << 40)
TUNED_ALLOCATOR = {
    # memory once asked for is kept and used again, in huge pages where the system grants them
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": LARGE,
    "MALLOC_TOP_PAD_": str(64 << 20),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "THP_MEM_ALLOC_ENABLE": "1",
}
ONE_THREAD_OF_XLA = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class WorkerError(RuntimeError):
    """A candidate that failed, with its own words."""


def environment(candidate: str, threads: int, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a candidate's process.

    Whatever chooses kernels, threads or allocators is taken out of what is given; derived/ shares
    out samples among threads of its own, with one thread below each.
    """
    kept = {
        name: value
        for name, value in given.items()
        if not name.startswith(CLEARED) and name != "GLIBC_TUNABLES"
    }
    below = 1 if candidate.startswith("derived") else threads
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    kept |= {name: str(below) for name in names}
    if candidate == "jax":
        kept["JAX_PLATFORMS"] = "cpu"
        if threads == 1:
            kept["XLA_FLAGS"] = ONE_THREAD_OF_XLA
    if candidate == "torch+":
        kept |= TUNED_ALLOCATOR
    return kept


def cores(threads: int) -> list[int]:
    """Return which processors a candidate may use: the last ones, as many as it has threads."""
    if not hasattr(os, "sched_getaffinity"):  # not on macOS
        return []
    return sorted(os.sched_getaffinity(0))[-threads:]


class Process:
    """A candidate's process, to be asked."""

    def __init__(self, candidate: str, threads: int):
        self.candidate, self.threads = candidate, threads
        self.errors = tempfile.TemporaryFile(  # noqa: SIM115 (closed with the process)
            "w+", encoding="utf8", errors="replace"
        )
        pinned = ",".join(map(str, cores(threads)))
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", candidate, pinned],
            cwd=ROOT,
            env=environment(candidate, threads, os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            encoding="utf8",
        )
        self.commands = cast(IO[str], self.popen.stdin)
        self.answers = cast(IO[str], self.popen.stdout)

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Let the process do one thing, and return its answer.

        Raises
        ------
        WorkerError
            If it could not, or ended.
        """
        try:
            self.commands.write(json.dumps({"do": do, **arguments}) + "\n")
            self.commands.flush()
            line = self.answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"{self.candidate} ended while asked to {do}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.candidate} could not {do}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        code = self.popen.wait()
        how = f"exit status {code}"
        if code < 0:
            how = f"signal {signal.Signals(-code).name}"
            if code == -signal.SIGKILL:
                how += ", as when memory runs out"
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return f"{how}: {lines[-1]}" if lines else how

    def close(self) -> None:
        """End the process."""
        for pipe in (self.commands, self.answers):
            with suppress(BrokenPipeError):
                pipe.close()
        try:
            self.popen.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.errors.close()


@contextmanager
def running(candidates: Sequence[str], threads: int) -> Iterator[dict[str, Process]]:
    """Start a process for each candidate, and end them all afterwards."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Process(name, threads)) for name in candidates}
