"""The command line: what it saves, what it refuses and in which words, and how it ends."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from test_off import CUBE, TETRAHEDRON

from backprop_lib import data
from backprop_lib.pointnet import __main__ as command
from backprop_lib.pointnet import weights
from backprop_lib.pointnet.network import PointNet
from backprop_lib.pointnet.training import Training

ON_UNIX = pytest.mark.skipif(os.name == "nt", reason="signals, pipes and modes are those of Unix")


STATUS_OF = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
QUICK = ["--epochs", "1", "--batch", "64"]


@pytest.fixture(autouse=True)
def answered():
    """Let no signal be ignored because it is in the shell that started the tests."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names]
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        is_interrupt = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def few(monkeypatch):
    """Let the command see the first 300 digits only."""
    digits = data.digits()
    images, labels = digits.images[:300], digits.labels[:300]
    monkeypatch.setattr(data, "digits", lambda: data.Digits(images, labels))


def test_the_command_trains_tests_and_resumes(few, tmp_path, capsys):
    out = str(tmp_path / "run.npz")
    assert command.main(["train", "--out", out, *QUICK]) == 0
    told = capsys.readouterr().out
    assert "epoch 1 of 1: loss" in told
    assert f"saved in {out}" in told
    assert command.main(["test", out]) == 0
    assert "of 60 recognised" in capsys.readouterr().out
    assert command.main(["train", "--resume", out]) == 0  # nothing is left to be done


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "--out is missing"),
        (["train", "--out", "nowhere/run.npz"], "nowhere/run.npz: there is no folder "),
        (["train", "--resume", "nowhere/run.npz"], "nowhere/run.npz: there is no folder "),
        (["train", "--out", "."], ".: it is a folder"),
        (["train", "--out", "x.npz", "--epochs", "0"], "epochs is 0"),
        (["train", "--out", "x.npz", "--epochs", "-1"], "epochs is -1"),
        (["train", "--out", "x.npz", "--batch", "1"], "batch is 1, expected"),
        (["train", "--out", "x.npz", "--batch", "9" * 30], "--batch is 999"),
        (["train", "--out", "x.npz", "--seed", "-1"], "seed is -1, expected"),
        (["train", "--out", "x.npz", "--rate", "nan"], "rate is nan, expected"),
        (["train", "--out", "x.npz", "--jitter", "inf"], "jitter is inf, expected"),
        (["train", "--out", "x.npz", "--shift", "1e300"], "epoch 1, step 1: the gradient of"),
        (
            ["train", "--out", "x.npz", "--jitter", "1e38"],
            "no step was taken yet, so the rate",
        ),
        (["train", "--out", "x.npz", "--regulariser", "1e300"], "epoch 1, step 1: the gradient"),
        (["train", "--out", "x.npz", "--points", "5"], "--points is for 3-D shapes"),
        (["train", "--out", "x.npz", "--data", ".", "--points", "1"], "--points is 1, expected"),
        (["train", "--out", "x.npz", "--data", "."], ".: it has no folder, expected one per class"),
        (["train", "--out", "x.npz", "--data", ""], "--data is empty, expected digits, or a"),
        (["train", "--resume", "."], ".: it is a folder"),
        (["test", "."], ".: it is a folder"),
        (["train", "--resume", "no.npz"], "no.npz"),
        (["train", "--resume", "no.npz", "--rate", "1"], "leave out rate"),
        (["train", "--out", "x.npz", "--data", "nowhere"], "nowhere"),
        (["test", "no.npz"], "no.npz"),
    ],
)
def test_the_command_tells_mistakes(few, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert command.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert message in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as on Unix")
def test_ctrl_c_saves_and_resuming_ends_as_if_nothing_had_happened(tmp_path):
    whole, run = tmp_path / "whole.npz", tmp_path / "run.npz"
    train = [sys.executable, "-m", "backprop_lib.pointnet", "train"]
    plan = ["--epochs", "2", "--batch", "128", "--seed", "3"]
    subprocess.run([*train, *plan, "--out", whole], check=True, capture_output=True)
    process = subprocess.Popen(
        [*train, *plan, "--out", run], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert "samples to learn from" in process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert "to go on: --resume" in told
    subprocess.run([*train, "--resume", run], check=True, capture_output=True)
    with np.load(whole) as a, np.load(run) as b:
        assert a.files == b.files
        assert all(np.array_equal(a[name], b[name]) for name in a.files)


SHAPES = ["--points", "16", "--epochs", "1", "--batch", "2"]


def saved(path, names, **settings):
    """Write a network that has learnt nothing, and return its file."""
    settings = replace(command.SIZES["small"], classes=len(names), **settings)
    weights.save(path, PointNet(settings, class_names=names))
    return path


def without_names(path):
    """Make a file what it was before names were saved."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(str(arrays["header"]))
    del header["class_names"]
    np.savez(path, **{**arrays, "header": np.array(json.dumps(header))})
    return path


def folder_of(root, *classes, train=2):
    """Make a folder with surfaces of these classes."""
    for name in classes:
        for part, count in [("train", train), ("test", 1)]:
            (root / name / part).mkdir(parents=True)
            for i in range(count):
                (root / name / part / f"{i}.off").write_text([TETRAHEDRON, CUBE][i % 2])
    return root


@pytest.fixture
def shapes(tmp_path):
    return folder_of(tmp_path / "shapes", "lamp", "sofa")


def told(capsys, *arguments, status=2):
    """Run the command, and return the one line that it writes beside its output."""
    assert command.main([str(argument) for argument in arguments]) == status
    (line,) = capsys.readouterr().err.splitlines()
    return line


# The classes


def test_other_data_are_refused_and_both_are_named(tmp_path, capsys):
    file = saved(tmp_path / "digits.npz", "0123456789")
    root = folder_of(tmp_path / "Net", *"abcdefghij")
    assert told(capsys, "test", file, "--data", root) == (
        f"error: {file} tells other classes apart (0, 1, 2, 3, 4, ...) than {root} has "
        "(a, b, c, d, e, ...)"
    )
    shapes = saved(tmp_path / "shapes.npz", "abcdefghij")
    assert told(capsys, "test", shapes) == (
        f"error: {shapes} tells other classes apart (a, b, c, d, e, ...) than digits has "
        "(0, 1, 2, 3, 4, ...)"
    )


def test_the_classes_that_differ_are_shown(tmp_path, capsys, shapes):
    file = saved(tmp_path / "net.npz", ["lamp", "shelf"])
    expected = f"error: {file} tells other classes apart (shelf) than {shapes} has (sofa)"
    assert told(capsys, "test", file, "--data", shapes) == expected
    file = saved(tmp_path / "net.npz", ["chair", "lamp", "sofa"])
    expected = f"error: {file} tells 3 classes apart (chair), and {shapes} has 2 (lamp, sofa)"
    assert told(capsys, "test", file, "--data", shapes) == expected


def test_what_was_trained_names_its_classes(few, shapes, tmp_path, capsys):
    out = tmp_path / "run.npz"
    assert command.main(["train", "--out", str(out), "--data", str(shapes), *SHAPES]) == 0
    assert weights.load(out).class_names == ("lamp", "sofa")
    assert command.main(["test", str(out), "--data", str(shapes), "--points", "16"]) == 0
    assert "of 2 recognised" in capsys.readouterr().out
    assert command.main(["train", "--out", str(out), *QUICK]) == 0
    assert weights.load(out).class_names == tuple("0123456789")


def test_a_file_from_before_names_were_saved_is_tested_with_a_word(tmp_path, shapes, capsys):
    file = without_names(saved(tmp_path / "old.npz", ["lamp", "sofa"]))
    assert command.main(["test", str(file), "--data", str(shapes), "--points", "16"]) == 0
    out, err = capsys.readouterr()
    assert "of 2 recognised" in out
    assert err == (
        f"note: {file} does not name its classes, so they cannot be compared with those of "
        f"{shapes}\n"
    )
    expected = f"error: {file} tells 2 classes apart, and digits has 10 (0, 1, 2, 3, 4, ...)"
    assert told(capsys, "test", file) == expected


def test_a_training_is_resumed_with_its_own_classes_only(tmp_path, shapes, capsys):
    out = tmp_path / "run.npz"
    assert command.main(["train", "--out", str(out), "--data", str(shapes), *SHAPES]) == 0
    resume = ["train", "--resume", out, "--points", "16", "--data"]
    (shapes / "sofa").rename(shapes / "table")
    capsys.readouterr()
    expected = f"error: {out} tells other classes apart (sofa) than {shapes} has (table)"
    assert told(capsys, *resume, shapes) == expected
    without_names(out)
    assert command.main([*map(str, resume), str(shapes)]) == 0
    assert weights.load(out).class_names == ("lamp", "table")  # its samples are known by a sum


def test_a_test_reads_the_test_files_only(tmp_path, shapes, capsys):
    file = saved(tmp_path / "net.npz", ["lamp", "sofa"])
    test = ["test", str(file), "--data", str(shapes), "--points", "16"]
    assert command.main(test) == 0
    before = capsys.readouterr().out
    for path in shapes.glob("*/train/*"):
        path.write_text("no surface")
    assert command.main(test) == 0
    assert capsys.readouterr().out == before


# The place to save in


@pytest.fixture
def no_data(monkeypatch):
    """Let a look at the data be an error."""
    for name in ("digits", "find_shapes", "read_shapes"):
        monkeypatch.setattr(data, name, None)


@ON_UNIX
@pytest.mark.parametrize("option", ["--out", "--resume"])
def test_the_place_is_tried_first(tmp_path, no_data, monkeypatch, capsys, option):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to("pipe")
    for path in (pipe, tmp_path / "link"):
        expected = f"error: {path}: it is a device or a pipe, which is never replaced"
        assert told(capsys, "train", option, path) == expected
        assert path.is_fifo()
    expected = f"error: {tmp_path}: it is a folder, expected the name of a file"
    assert told(capsys, "train", option, tmp_path) == expected
    (tmp_path / "run.npz").write_text("precious")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    expected = f"error: {tmp_path / 'run.npz'}: the file is write-protected"
    assert told(capsys, "train", option, tmp_path / "run.npz") == expected
    assert (tmp_path / "run.npz").read_text() == "precious"


def full_after(monkeypatch, times):
    """Let the disk be full after so many files."""
    right, left = os.fsync, iter(range(times))

    def fsync(descriptor):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        right(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("files", [0, 1, 2, 3])
def test_a_full_disk_is_told_by_the_name_of_the_file(few, tmp_path, monkeypatch, capsys, files):
    """Before the data are read, before the first step, and after each epoch."""
    out = tmp_path / "run.npz"
    full_after(monkeypatch, files)
    line = told(capsys, "train", "--out", out, "--epochs", "2", "--batch", "64")
    assert line == f"error: {out}: {os.strerror(errno.ENOSPC)}"
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"] * (files == 3)
    if files == 3:
        weights.load(out)


# The data


@ON_UNIX
@pytest.mark.parametrize(("name", "status"), STATUS_OF.items())
def test_a_signal_while_files_are_read_ends_in_one_line(
    tmp_path, shapes, monkeypatch, capsys, name, status
):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    monkeypatch.setattr(data, "read_off", lambda _: signal.raise_signal(number))
    file = saved(tmp_path / "net.npz", ["lamp", "sofa"])
    for arguments in (["train", "--out", tmp_path / "run.npz"], ["test", file]):
        line = told(capsys, *arguments, "--data", shapes, status=status)
        assert line == f"interrupted by {name}"
        assert signal.getsignal(number) == before
    assert not (tmp_path / "run.npz").exists()


def test_a_terminal_sees_how_far_the_reading_is(tmp_path, shapes, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    arguments = ["train", "--out", str(tmp_path / "run.npz"), "--data", str(shapes), *SHAPES]
    assert command.main(arguments) == 0
    shown = capsys.readouterr().err.split("\r\x1b[K")
    expected = [f"{shapes}: {i} of 4 files of the train part are read" for i in range(1, 5)]
    assert shown[1:6] == [*expected, ""]
    assert f"{shapes}: 2 of 2 files of the test part are read" in shown


def test_the_layout_of_both_parts_is_looked_at_before_a_file_is_read(shapes, tmp_path, capsys):
    (shapes / "lamp" / "train" / "0.off").write_text("no surface")
    (shapes / "sofa" / "test" / "0.off").rename(shapes / "sofa" / "test" / "0.off.gz")
    line = told(capsys, "train", "--out", tmp_path / "run.npz", "--data", shapes)
    assert line.startswith(f"error: {shapes}/sofa/test/0.off.gz: it is compressed; unpack it")


def test_what_a_mac_has_added_is_told(shapes, tmp_path, capsys):
    (shapes / "__MACOSX" / "lamp" / "train").mkdir(parents=True)
    file = saved(tmp_path / "net.npz", ["lamp", "sofa"])
    line = told(capsys, "test", file, "--data", shapes, "--points", "16", status=0)
    expected = f"note: {shapes}/__MACOSX is left out: a Mac has added it, and it is no class"
    assert line == expected


# How it ends


@pytest.fixture
def at_step(monkeypatch):
    """Let something happen at the end of some step."""

    def happen(number, what):
        right, steps = Training.step, iter(range(1, 1000))

        def step(self):
            done = right(self)
            if next(steps) == number:
                what()
            return done

        monkeypatch.setattr(Training, "step", step)

    return happen


PLAN = ["--epochs", "2", "--batch", "80", "--seed", "3"]


@ON_UNIX
@pytest.mark.parametrize(("name", "status"), STATUS_OF.items())
@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_signal_saves_and_resuming_ends_as_if_there_was_none(
    few, tmp_path, capsys, at_step, name, status, step
):
    whole, run = tmp_path / "whole.npz", tmp_path / "run.npz"
    assert command.main(["train", "--out", str(whole), *PLAN]) == 0
    number = getattr(signal, name)
    before = signal.getsignal(number)
    at_step(step, lambda: signal.raise_signal(number))
    line = told(capsys, "train", "--out", run, *PLAN, status=status)
    assert line == f"saved in {run}; to go on: --resume {run}"
    assert signal.getsignal(number) == before
    assert len(Training.resume(run, *few_samples()).progress.losses) == step
    assert command.main(["train", "--resume", str(run)]) == 0
    with np.load(whole) as a, np.load(run) as b:
        assert a.files == b.files
        assert all(np.array_equal(a[name], b[name]) for name in a.files)


def few_samples():
    digits = data.digits()
    train, _ = data.split(digits.labels)
    return digits.as_points(np.float32)[train], digits.labels[train]


@ON_UNIX
@pytest.mark.parametrize(("name", "status"), STATUS_OF.items())
def test_a_second_signal_ends_at_once(few, tmp_path, capsys, at_step, name, status):
    run = tmp_path / "run.npz"
    run.write_text("precious")

    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(getattr(signal, name))

    at_step(1, twice)
    line = told(capsys, "train", "--out", run, *PLAN, status=status)
    assert line == f"interrupted by {name}"
    assert run.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [run]


@ON_UNIX
@pytest.mark.parametrize("name", STATUS_OF)
def test_a_signal_that_is_ignored_stays_ignored(few, tmp_path, at_step, name):
    """As nohup ignores SIGHUP, and a shell without job control SIGINT for its background jobs."""
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_IGN)
    try:
        at_step(1, lambda: signal.raise_signal(number))
        assert command.main(["train", "--out", str(tmp_path / "run.npz"), *PLAN]) == 0
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_training_that_diverges_is_told_in_one_line(few, tmp_path, capsys):
    line = told(capsys, "train", "--out", tmp_path / "run.npz", "--rate", "1e37")
    assert line.startswith("error: epoch 1, step 2: the gradient of ")
    assert line.endswith(" is not finite; the rate is 1e+37, and a smaller one may help")
    assert list(tmp_path.iterdir()) == []


def in_a_process(file, **streams):
    """Run `test` in a process of its own, whose output goes somewhere else."""
    arguments = [sys.executable, "-m", "backprop_lib.pointnet", "test", str(file)]
    return subprocess.run(arguments, stderr=subprocess.PIPE, text=True, check=False, **streams)


@ON_UNIX
def test_a_reader_that_has_gone_is_no_error(tmp_path):
    read, write = os.pipe()
    os.close(read)
    run = in_a_process(saved(tmp_path / "net.npz", "0123456789"), stdout=write)
    os.close(write)
    assert (run.returncode, run.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a device that is full")
def test_an_output_that_is_full_is_told_in_one_line(tmp_path):
    with open("/dev/full", "w") as full:
        run = in_a_process(saved(tmp_path / "net.npz", "0123456789"), stdout=full)
    assert (run.returncode, run.stderr) == (
        2,
        f"error: standard output: {os.strerror(errno.ENOSPC)}\n",
    )
