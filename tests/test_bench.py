"""The benchmark: its statistics, table, results and figure, and that everyone's network is one."""

import json
import re
import xml.etree.ElementTree as ET
from copy import deepcopy

import numpy as np
import pytest
from conftest import ROOT

from backprop_lib.ops.dropout import draw_mask
from backprop_lib.pointnet.network import PointNet, Settings
from bench import __main__ as command
from bench import figure, measure, network, processes, report, tasks
from bench.peers import functional, ours
from bench.worker import PEERS, page_faults, peak_bytes

STEP = tasks.STEP
SMALL_STEP = tasks.Task(STEP, N=3, L=5, dtype="float64", small=True)


def times(candidate, seconds, task=STEP, threads=1, N=32, L=1024, peak=300.0):
    return {
        "task": task,
        "N": N,
        "L": L,
        "threads": threads,
        "candidate": candidate,
        "seconds": seconds,
        "gflop": 40.8,
        "traffic_mb": 800.0,
        "peak_mb": peak,
        "page_faults": 0,
    }


def some_results(times_=None):
    """Make up a run in which derived takes 0.2 s and PyTorch 1 s."""
    steps = {"derived": 0.2, "derived-new": 0.25, "readable": 0.9, "torch": 1.0, "torch+": 0.5}
    steps |= {"jax": 2.5, "autograd": 2.0}
    entries = [
        times(name, [1.1 * s, s, 1.4 * s], threads=threads, N=N, L=L, peak=100 * s + N)
        for threads, N, L in [(1, 8, 1024), (1, 32, 256), (1, 32, 1024), (2, 32, 1024)]
        for name, s in ((name, s * N * L / 32768 / threads) for name, s in steps.items())
    ]
    entries += [
        times(name, [s], task="conv 64-128", peak=None)
        for name, s in [("derived", 0.03), ("readable", 0.08), ("torch", 0.05), ("torch+", 0.04)]
    ]
    results = {
        "format": report.FORMAT,
        "version": report.VERSION,
        "date": "2026-01-01 00:00 UTC",
        "machine": {
            "processor": "P",
            "cores": 2,
            "memory_gb": 25,
            "system": "S",
            "load": 0.1,
            "huge_pages": None,
        },
        "settings": {"quick": False},
        "candidates": report.CANDIDATES,
        "versions": {"numpy": "2.4.6"},
        "kernels": {"derived": ["openblas"]},
        "times": entries if times_ is None else times_,
        "accuracy": [
            {
                "task": STEP,
                "N": 32,
                "L": 1024,
                "offset": 100.0,
                "candidate": "torch",
                "error": 0.031,
                "of": "head.out.b",
                "typical": 0.002,
            }
        ],
        "equality": [{"task": STEP, "candidate": "jax", "difference": 3e-12}],
        "calibration": [
            {
                "part": "step",
                "threads": 1,
                "product_gflop_per_s": [250.0, 272.0, 100.0],
                "copy_gb_per_s": [10.0, 11.0, 9.0],
            }
        ],
    }
    results["goals"] = report.judge(results)
    return results


# What the peers compute


@pytest.mark.parametrize("sizes", [network.FULL, network.SMALL])
def test_the_peers_have_the_parameters_of_our_network(sizes):
    net = PointNet(Settings(**vars(sizes)))
    drawn = network.draw_parameters(sizes, "float32")
    shapes = {name: value.shape for name, value in net.parameters.items()}
    assert {name: value.shape for name, value in drawn.items()} == shapes
    assert all(value.all() for value in drawn.values())
    gammas = [value for name, value in drawn.items() if name.endswith("gamma")]
    assert np.mean(np.concatenate(gammas) < 0) > 0.1


def test_the_function_that_jax_and_autograd_differentiate_is_our_loss_and_slopes_as_our_gradient():
    step = ours.Step(SMALL_STEP, derived=False)
    theta = {name: value.copy() for name, value in step.net.parameters.items()}
    one_hot = np.eye(network.SMALL.classes)[step.labels]

    def loss(moved):
        return functional.loss(np, moved, step.points, one_hot, network.REGULARISER)

    value, gradients = step.gradients()
    assert loss(theta) == pytest.approx(value, rel=1e-13)
    assert abs(loss(theta) - functional.loss(np, theta, step.points, one_hot, 0)) > 1e-4
    rng = np.random.default_rng(5)
    for name, array in theta.items():
        direction = rng.standard_normal(array.shape)
        h = 1e-6
        up, down = (loss(theta | {name: array + s * h * direction}) for s in (1, -1))
        slope = np.sum(gradients[name] * direction)
        assert (up - down) / (2 * h) == pytest.approx(slope, rel=1e-5, abs=1e-8), name


def test_dropout_is_at_the_same_place():
    dropped = tasks.Task(**{**SMALL_STEP.as_dict(), "dropout": 0.4})
    step = ours.Step(dropped, derived=False)
    theta = {name: value.copy() for name, value in step.net.parameters.items()}
    mask = draw_mask((3, network.SMALL.head[-1]), 0.4, np.random.default_rng(3))
    assert set(np.unique(mask)) == {0, 1 / 0.6}
    one_hot = np.eye(network.SMALL.classes)[step.labels]
    expected = functional.loss(np, theta, step.points, one_hot, network.REGULARISER, mask)
    assert step.gradients()[0] == pytest.approx(expected, rel=1e-13)


def test_derived_and_readable_compute_the_same_in_every_task():
    for name in (STEP, *tasks.LAYERS):
        task = tasks.Task(**{**SMALL_STEP.as_dict(), "name": name})
        readable, derived = ours.prepare_readable(task), ours.prepare_derived(task)
        off, _ = measure.difference(derived.values(), readable.values())
        assert off < 1e-10, name


def test_each_of_ours_is_computed_as_it_is_called():
    for prepare, derived, reuse in [
        (ours.prepare_readable, False, False),
        (ours.prepare_derived, True, True),
        (ours.prepare_derived_new, True, False),
    ]:
        net = prepare(SMALL_STEP).net
        assert (net.derived, net.buffers is not None) == (derived, reuse)


def test_layers_have_the_shapes_of_their_forward():
    inputs, dy = tasks.draw_inputs(tasks.Task("conv 64-128", N=2, L=3))
    assert {name: value.shape for name, value in inputs.items()} == {
        "x": (2, 64, 3),
        "W": (128, 64),
        "b": (128,),
    }
    assert dy.shape == (2, 128, 3)
    near, far = (
        tasks.draw_inputs(tasks.Task("max 1024", N=1, L=4, offset=offset))[0]["x"]
        for offset in (0.0, 100.0)
    )
    np.testing.assert_allclose(far - near, 100, rtol=1e-5)


def test_another_batch_has_other_numbers_and_each_is_always_the_same():
    first, second = (tasks.Task(STEP, N=2, L=3, batch=batch) for batch in (0, 1))
    assert np.array_equal(first.draw_batch()[0], first.draw_batch()[0])
    assert not np.array_equal(first.draw_batch()[0], second.draw_batch()[0])
    moved = tasks.Task(STEP, N=2, L=3, offset=100.0).draw_batch()[0]
    np.testing.assert_allclose(moved - first.draw_batch()[0], 100, rtol=1e-5)
    assert set(first.draw_batch()[1]) <= set(range(network.FULL.classes))


def test_both_precisions_hold_the_same_numbers():
    single, double = (network.draw_parameters(network.SMALL, t) for t in ("float32", "float64"))
    assert all(np.array_equal(single[name], double[name]) for name in single)
    assert {value.dtype.name for value in double.values()} == {"float64"}


def test_arithmetic_is_that_of_the_products():
    step = tasks.Task(STEP)
    assert tasks.arithmetic(step, derived=False) == pytest.approx(83.8e9, rel=1e-3)
    assert tasks.arithmetic(step, derived=True) == pytest.approx(40.9e9, rel=2e-3)
    assert tasks.arithmetic(tasks.Task("conv 3-64", N=2, L=5), derived=True) == 3 * 2 * 2 * 5 * 192
    assert tasks.arithmetic(tasks.Task("max 1024"), derived=True) == 0
    assert tasks.arithmetic(tasks.Task("product 32"), derived=True) == 2 * 32 * 1024 * 512
    one = network.block_flops(3, 7, 2, 5, derived=True, pooled=False)
    assert one == 3 * 2 * 10 * 21 + 2 * 2 * 10 * 9


def test_traffic_is_each_input_and_result_once_each_way():
    of = {name: tasks.traffic(tasks.Task(name, N=2, L=5)) // 4 for name in tasks.LAYERS}
    assert of["batchnorm 64"] == 5 * 2 * 64 * 5  # x and y; then dy, x and dx
    assert of["max 1024"] == 2 * 2 * 1024 * 5 + 2 * 2 * 1024
    assert of["linear 1024-512"] == 3 * 2 * 1024 + 2 * 2 * 512 + 3 * 1024 * 512
    assert of["product 1024"] == 3 * 1024 * 1024
    assert of["product 32"] == 32 * 1024 + 1024 * 512 + 32 * 512


# Statistics, goals, table


def test_summary_and_ratio():
    assert report.summary([3.0, 1.0, 2.0, 10.0]) == report.Summary(2.5, 1.0, 10.0)
    assert report.ratio([1.0, 2.0, 9.0], [4.0, 8.0, 6.0]) == report.Ratio(2 / 6, 1 / 4)
    with pytest.raises(ValueError, match="no sample"):
        report.summary([])


def test_goals_are_of_tasks_and_candidates_that_there_are():
    for goal in report.GOALS:
        assert goal.task in (STEP, *tasks.LAYERS)
        assert goal.peer in (report.MEMORY, *report.CANDIDATES)
    assert set(report.CANDIDATES) == set(measure.ALL) == set(PEERS) - {"calibration"}


def test_a_goal_is_judged_by_the_medians_at_the_largest_size():
    verdicts = {verdict["what"]: verdict for verdict in report.judge(some_results())}
    torch = verdicts["step, 1 thread: derived / torch"]
    assert torch["measured"] == pytest.approx(0.2)
    assert torch["met"]
    assert not torch["stretch_met"]
    assert verdicts["step, 1 thread: derived, peak memory in MB"]["measured"] == 52
    assert not verdicts["conv 64-128, 1 thread: derived / torch"]["met"]
    assert "bmm 64, 1 thread: derived / torch" not in verdicts
    slower = [times("derived", [0.1, 0.3, 0.3]), times("torch", [1.0, 1.0])]
    (verdict, memory) = report.judge({"times": slower})
    assert (verdict["measured"], verdict["of_minima"], verdict["met"]) == (0.3, 0.1, False)
    assert memory["met"]


def test_the_table_tells_all():
    text = report.table(some_results())
    assert "Whole training step, N = 32, L = 1024, float32, 1 thread, 3 rounds" in text
    line = next(line for line in text.splitlines() if line.startswith("torch "))
    assert line.split() == ["torch", "1100", "1000", "1400", "0.200", "0.200", "37", "132"]
    conv = next(line for line in text.splitlines() if line.startswith("conv 64-128 "))
    assert "0.600    0.600" in conv
    assert "step, 1 thread: derived / torch" in text
    assert re.search(r"conv 64-128, 1 thread: derived / torch +0.6 +0.6 +0.5 +MISSED", text)
    assert "3.1e-02" in text
    assert "1/3" in text  # one of three rounds was slow
    assert "busy" not in text
    busy = some_results()
    busy["machine"]["load"] = 1.5
    assert "busy before: load 1.5" in report.table(busy)


def test_the_limit_is_the_slower_of_products_and_memory():
    entry = times("derived", [0.5])
    assert report.limit(entry, product=100, copy=10) == ("products", pytest.approx(0.408 / 0.5))
    assert report.limit(entry, product=1000, copy=10) == ("memory", pytest.approx(0.08 / 0.5))


# Results


def test_results_are_what_they_should_be_and_survive_json():
    results = json.loads(json.dumps(some_results()))
    assert report.check(results) is results
    packed = command.as_json(results)
    assert json.loads(packed) == results
    assert packed.count("\n") < 30 + sum(len(results[name]) for name in report.FIELDS)


@pytest.mark.parametrize(
    ("break_", "message"),
    [
        (lambda r: r.pop("format"), "no results of"),
        (lambda r: r.update(version=99), "version 99, expected 1"),
        (lambda r: r.pop("machine"), "no machine"),
        (lambda r: r["times"][0].pop("seconds"), r"times\[0\] has seconds = None"),
        (lambda r: r["times"][1].update(N="32"), r"times\[1\] has N = '32'"),
        (lambda r: r["times"][2].update(seconds=[]), r"times\[2\] has samples \[\]"),
        (lambda r: r["times"][2].update(seconds=[0.0]), r"samples \[0.0\], expected some above"),
        (lambda r: r["goals"][0].update(met="yes"), r"goals\[0\] has met"),
    ],
)
def test_broken_results_are_refused(break_, message):
    results = deepcopy(some_results())
    break_(results)
    with pytest.raises(ValueError, match=message):
        report.check(results)


# The figure


def test_the_figure():
    first, second = figure.draw(some_results()), figure.draw(some_results())
    assert first == second
    svg = ET.fromstring(first)
    assert "derived 0.22 s and 52 MB" in svg.attrib["aria-label"]
    assert len(first) < 120_000
    few = [times("derived", [0.1]), times("torch", [0.4])]
    assert len(figure.draw(some_results(few))) < len(first)
    with pytest.raises(ValueError, match="no whole step"):
        figure.draw(some_results([times("derived", [0.1], task="conv 64-128")]))


# The command


def test_what_was_recorded_is_shown_again(tmp_path, capsys):
    file, drawing = tmp_path / "results.json", tmp_path / "figure.svg"
    file.write_text(command.as_json(some_results()), encoding="utf8")
    assert command.main(["--redraw", str(file), "--figure", str(drawing)]) == 0
    assert "Whole training step" in capsys.readouterr().out
    assert drawing.read_text(encoding="utf8").startswith("<svg")
    file.write_text("{}", encoding="utf8")
    assert command.main(["--redraw", str(file)]) == 1
    assert "error: these are no results" in capsys.readouterr().err


@pytest.fixture
def measured(monkeypatch):
    """Let the command measure nothing, and tell what it was asked for."""
    asked = []

    def pretend(plan, parts):
        asked.append((plan, parts))
        results = some_results()
        names = ("times", "accuracy", "equality", "calibration", "versions", "kernels")
        return measure.Measured(**{name: results[name] for name in names})

    monkeypatch.setattr(command, "measure", pretend)
    return asked


def test_a_run_writes_where_it_is_told_and_a_trial_nothing(measured, tmp_path, capsys):
    out = tmp_path / "o.json"
    assert command.main(["--only", "step", "growth", "--out", str(out)]) == 0
    assert report.check(json.loads(out.read_text(encoding="utf8")))["settings"]["N"] == 32
    assert out.with_suffix(".svg").exists()
    assert measured[0][1] == ["step", "growth"]
    assert command.main(["--only", "accuracy", "--out", str(tmp_path / "a.json")]) == 0
    assert not measured[0][0].quick
    assert command.main(["--quick"]) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert measured[2][0].quick
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "o.json", "o.svg"]


def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_measured(
    measured, tmp_path, capsys
):
    assert command.main(["--out", str(tmp_path)]) == 1
    assert "is a folder" in capsys.readouterr().err
    assert command.main(["--out", str(tmp_path / "none" / "o.json")]) == 1
    assert not measured


def test_an_interrupted_run_leaves_the_old_results(monkeypatch, tmp_path, capsys):
    out = tmp_path / "o.json"
    out.write_text("old", encoding="utf8")

    def interrupted(plan, parts):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "measure", interrupted)
    assert command.main(["--out", str(out)]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert [path.read_text(encoding="utf8") for path in tmp_path.iterdir()] == ["old"]


# Equality and accuracy


def test_differences_are_relative_and_seen_wherever_they_are():
    expected = {"a": np.array([1.0, -100.0]), "b": np.array([1e-3]), "zero": np.array([1e-18])}
    same = {name: value.copy() for name, value in expected.items()}
    assert measure.difference(same, expected)[0] == 0
    for name, by, off in [("a", 1e-3, 1e-5), ("b", 1e-6, 1e-3), ("zero", 1e-18, 1e-14)]:
        moved = same | {name: same[name] + by}
        assert measure.difference(moved, expected) == (pytest.approx(off), name)
    for name, size in [("zero", 1.0), ("b", 1.0), ("b", np.nan)]:  # Adam makes steps of rounding
        moved = same | {tasks.after(name): np.array([size])}
        still = expected | {tasks.after(name): np.zeros(1)}
        assert (measure.difference(moved, still)[0] == 0) == (name == "zero")
    off, name = measure.difference(same | {"b": np.array([np.nan])}, expected)
    assert np.isnan(off)
    assert name == "b"
    for other in ({"a": expected["a"]}, same | {"b": np.ones((1, 1))}):
        with pytest.raises(measure.DifferError):
            measure.difference(other, expected)


def test_errors_leave_out_what_is_zero_but_for_rounding():
    reference = {"a": np.array([3.0, 4.0]), "b": np.array([2.0]), "zero": np.array([1e-17])}
    values = {"a": np.array([3.0, 4.5]), "b": np.array([2.02]), "zero": np.array([1e-9])}
    assert measure.relative_errors(values, reference) == [
        (pytest.approx(0.1), "a"),
        (pytest.approx(0.01), "b"),
    ]
    assert measure.worst([(0.1, "a"), (0.3, "b"), (0.2, "c")]) == (0.3, "b")
    errors = measure.relative_errors(values | {"b": np.array([np.nan])}, reference)
    assert measure.worst(errors)[1] == "b"


class Pretended:
    """A process that computes nothing."""

    def __init__(self, candidate="", threads=1):
        self.candidate, self.asked = candidate, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, do, **arguments):
        self.asked.append((do, arguments))
        return {"seconds": 0.01, "faults": 0, "python": "3", "versions": {}}


@pytest.mark.parametrize("off", [1e-12, 1e-8, np.nan])
def test_networks_that_differ_are_not_timed(monkeypatch, off):
    def values(process, task, *, steps=False):
        return {"dW": np.array([2.0, 1.0 + (off if process.candidate == "torch" else 0)])}

    monkeypatch.setattr(measure, "Process", Pretended)
    monkeypatch.setattr(measure, "values_of", values)
    found = measure.Measured()
    if off < 1e-10:
        measure.check_equality(found)
        assert {entry["candidate"] for entry in found.equality} == set(measure.ALL) - {"readable"}
    else:
        with pytest.raises(measure.DifferError, match="torch and readable differ in dW of step"):
            measure.check_equality(found)


# Rounds and processes


def test_each_round_asks_everyone_in_another_order_and_the_slow_ones_in_every_third(monkeypatch):
    monkeypatch.setattr(measure.time, "sleep", lambda seconds: None)
    order = []

    class Noted(Pretended):
        def ask(self, do, **arguments):
            if do == "sample":
                order.append(self.candidate)
            return super().ask(do, **arguments)

    def run():
        order.clear()
        calibration = measure.Calibration(Noted("calibration"), "part", 1)
        candidates = {name: Noted(name) for name in "abcde"}
        how = {name: measure.Sampling(every=3 if name == "e" else 1) for name in "abcde"}
        samples = measure.sample_in_rounds(measure.Plan(), candidates, "k", how, 7, calibration)
        return {name: len(found) for name, found in samples.items()}, " ".join(order)

    counts, first = run()
    assert counts == {"a": 7, "b": 7, "c": 7, "d": 7, "e": 3}
    rounds = [words.split() for words in first.split("calibration calibration")[1:]]
    assert [len(names) for names in rounds] == [5, 4, 4, 5, 4, 4, 5]
    assert len({" ".join(n for n in names if n != "e") for names in rounds}) > 3
    assert run() == (counts, first)


def test_a_short_task_is_repeated_for_one_sample():
    plan = measure.Plan(sample_seconds=0.1)
    assert [measure.repeats(plan, s) for s in (1.0, 0.1, 0.03, 1e-9)] == [1, 1, 4, 100]


def test_the_environment_of_a_candidate():
    given = {"OPENBLAS_CORETYPE": "X", "OPENBLAS_L2_SIZE": "1", "GLIBC_TUNABLES": "y", "HOME": "/h"}
    plain = processes.environment("torch", 2, given)
    assert plain["HOME"] == "/h"
    assert not {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "GLIBC_TUNABLES"} & set(plain)
    assert plain["OMP_NUM_THREADS"] == plain["OPENBLAS_NUM_THREADS"] == "2"
    tuned = processes.environment("torch+", 2, given)
    assert tuned == plain | processes.TUNED_ALLOCATOR
    assert processes.environment("derived", 2, given)["OPENBLAS_NUM_THREADS"] == "1"
    assert "intra_op" in processes.environment("jax", 1, given)["XLA_FLAGS"]
    assert "XLA_FLAGS" not in processes.environment("jax", 2, given)


def test_a_process_answers_and_says_what_went_wrong():
    with processes.Process("calibration", 1) as process:
        task = tasks.Task("product").as_dict()
        assert process.ask("load", key="p", task=task, warm=1)["seconds"] > 0
        assert process.ask("sample", key="p", repeat=2, warm=1)["seconds"] > 0
        with pytest.raises(processes.WorkerError, match="calibration could not sample: KeyError"):
            process.ask("sample", key="q", repeat=1, warm=0)
        assert process.ask("drop", key="p") == {}
        process.popen.kill()
        with pytest.raises(processes.WorkerError, match=r"ended while asked to drop: signal SIGKI"):
            process.ask("drop", key="p")
    with (
        processes.Process("nobody", 1) as process,
        pytest.raises(processes.WorkerError, match="nobody could not status: KeyError: 'nobody'"),
    ):
        process.ask("status")


def test_memory_and_page_faults_are_counted():
    before = page_faults()
    held = np.ones(16_000_000)
    assert peak_bytes() > held.nbytes
    assert page_faults() > before


def test_every_requirement_is_pinned_and_as_in_the_constraints_but_for_numpy():
    def lines(path):
        text = (ROOT / path).read_text(encoding="utf8")
        for line in text.splitlines():
            if line and not line.startswith(("#", "-")):
                requirement, _, marker = line.partition(";")
                name, _, version = requirement.strip().partition("==")
                yield name.lower().replace("_", "-"), version, marker.strip()[:14]

    constraints = {(name, version) for name, version, _ in lines("constraints.txt")}
    names = {name for name, _ in constraints}
    for name, version, _ in lines("bench/requirements.txt"):
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), name
        assert name == "numpy" or name not in names or (name, version) in constraints, name
