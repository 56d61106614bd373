import os
import re
import subprocess
import sys

import pytest

from keypoints.commands.cli import COMMANDS, load_command, run_command
from keypoints.errors import InputError

calls = []


def greet(
    name: str, *, loud: bool = False, times: int = 1, file: str | None = None, rate: float = 1.0
) -> None:
    """Greet somebody.

    Args:
        name: who
        loud: whether to shout
        times: how often
        file: where to write it
        rate: how fast
    """
    if times < 1:
        raise InputError(f"--times={times}: at least 1 is expected")
    calls.append((name, loud, times, file, rate))


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


@pytest.mark.parametrize(
    ("argv", "call"),
    [
        (["ann"], ("ann", False, 1)),
        (["--name=ann", "--times=3"], ("ann", False, 3)),
        (["--name", "ann", "--times", "3"], ("ann", False, 3)),
        (["ann", "--loud"], ("ann", True, 1)),
        (["--loud", "ann"], ("ann", True, 1)),
        (["ann", "--loud=False"], ("ann", False, 1)),
        (["ann", "--loud", "true"], ("ann", True, 1)),
        (["ann", "--rate=1e-3"], ("ann", False, 1, None, 0.001)),
        (["ann", "--rate=3"], ("ann", False, 1, None, 3.0)),
    ],
)
def test_good_arguments_arrive_as_the_declared_type(argv, call):
    run_command(greet, argv)
    assert calls == [(*call, None, 1.0)[:5]]
    assert [type(value) for value in calls[0][:3]] == [str, bool, int]


@pytest.mark.parametrize(
    "text",
    ["photo#1.jpg", "2024_01", "1e3", "Smith,John", "None", "True", "a=b", "[1]", "{x}", "'q'",
     " two words ", "007", "x.y", "~/a"],
)  # fmt: skip
def test_text_stays_what_was_typed(text):
    run_command(greet, [text, f"--file={text}"])
    run_command(greet, ["--file", text, text])
    assert calls == [(text, False, 1, text, 1.0)] * 2


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["ann", "--tims=3"], "unknown flag --tims; did you mean '--times'?"),
        (["ann", "bob"], "'bob': one argument too many"),
        ([], "NAME is missing"),
        (["ann", "--loud=maybe"], "--loud=maybe: write --loud=True"),
        (["ann", "--name=bob"], "name is given twice"),
        (["ann", "--times=0"], "--times=0: at least 1"),
        (["ann", "--times=2.5"], "--times=2.5: a whole number is expected"),
        (["ann", "--rate=fast"], "--rate=fast: a number is expected"),
        (["ann", "--times"], "--times is given without a value"),
        (["ann", "--file="], "--file= has no value"),
        (["--name"], "--name is given without a value"),
        (["ann", "-t", "3"], "unknown flag --t"),
    ],
)
def test_bad_arguments_run_nothing_and_exit_2(argv, message, capsys):
    with pytest.raises(SystemExit) as end:
        run_command(greet, argv)
    error = capsys.readouterr().err
    assert end.value.code == 2 and calls == []
    assert message in error
    assert error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize("argv", [["--help"], ["ann", "--help"], ["ann", "--", "--help"], ["-h"]])
def test_help_shows_every_option_and_runs_nothing(argv, capsys):
    with pytest.raises(SystemExit) as end:
        run_command(greet, argv)
    out = capsys.readouterr().out
    assert end.value.code == 0 and calls == []
    for word in ("NAME", "--loud", "whether to shout", "--times", "Default: 1", "how often"):
        assert word in out
    assert "-t, --times" not in out  # Fire's short forms do not work


@pytest.mark.parametrize("tool", COMMANDS)
def test_help_of_every_tool_is_quick(tool):
    """A second of processor time: a busy machine does not count."""
    command = [sys.executable, "-m", f"tools.{tool}", "--help"]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True)
    after = os.times()
    assert done.returncode == 0 and f"tools.{tool} - " in done.stdout
    assert after.children_user + after.children_system < (
        before.children_user + before.children_system + 1.0
    )


@pytest.mark.parametrize("tool", COMMANDS)
def test_help_has_every_word_of_the_docstring(tool, capsys):
    """Fire drops a paragraph that looks like a section, and a line that looks like an argument."""
    function = load_command(tool)
    with pytest.raises(SystemExit):
        run_command(function, ["--help"])
    shown = re.split(r"\W+", capsys.readouterr().out)
    words = re.split(r"\W+", function.__doc__)
    assert [word for word in words if word and word not in ("Args", *shown)] == []


@pytest.mark.parametrize("tool", COMMANDS)
def test_a_typo_in_any_tool_exits_2_without_a_traceback(tool, tmp_path):
    command = [sys.executable, "-m", f"tools.{tool}", "--no_such_flag=1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "unknown flag --no_such_flag" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_commands_work_without_docstrings_and_assertions():
    """`python -OO` drops both: help is shorter, and nothing may rest on either."""
    code = (
        "import importlib, pkgutil, sys; from keypoints import commands\n"
        "for module in pkgutil.iter_modules(commands.__path__):\n"
        "    importlib.import_module(f'keypoints.commands.{module.name}')\n"
        "from keypoints.commands.cli import run_command\n"
        "from keypoints.commands.train import train\n"
        "run_command(train, sys.argv[1:])\n"
    )
    for argv, exit_code, shown in (
        (["--help"], 0, "--learning_rate"),
        (["--epochs=0"], 2, "epochs=0"),
    ):
        command = [sys.executable, "-OO", "-c", code, *argv]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == exit_code and shown in done.stdout + done.stderr, done.stderr


def test_a_reader_that_ends_early_costs_no_traceback():
    command = f'"{sys.executable}" -m tools.train --help | head -n 1'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("NAME", "")
    assert done.returncode in (0, 141)


def test_help_shows_the_arguments_without_a_flag(capsys):
    for tool, line in (("filter", "INPUT ... [--FLAG"), ("annotate", "INPUT ... [--FLAG")):
        with pytest.raises(SystemExit):
            run_command(load_command(tool), ["--help"], name=f"keypoints {tool}")
        assert f"SYNOPSIS\n    keypoints {tool} {line}" in capsys.readouterr().out


def test_a_file_that_may_not_be_read_is_named(capsys):
    def closed() -> None:
        raise PermissionError(13, "Permission denied", "model.onnx")

    with pytest.raises(SystemExit):
        run_command(closed, [])
    assert capsys.readouterr().err == "error: model.onnx: Permission denied\n"
