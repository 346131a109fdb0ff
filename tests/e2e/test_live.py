"""What a run shows while it goes on: on a terminal, on a poor one, and on none."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.e2e.terminal import terminal_in

WAITS = """
import time
from pathlib import Path

def wait():
    deadline = time.monotonic() + 60
    while not Path("go").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)

def pause():
    time.sleep(1.5)

FAULTS = {"wait": wait, "pause": pause, "debug": breakpoint}
"""
OWN_TESTS = """
import time
import pytest

@pytest.mark.parametrize("number", range(300))
def test_own(number):
    time.sleep(0.005)
"""
TELL_AT_ONCE = "\nimport compat.plugin.activity\ncompat.plugin.activity.SECONDS_WORTH_A_LINE = 0\n"
STANDING = "targets done"
DRAWN = b"\x1b7"
MODES = "--compat-modes=fp32"


@pytest.fixture
def waiting(project):
    """A project of which one check waits until it is told to go on."""
    (project.path / "faults.py").write_text(WAITS)
    project.behave(**{"gpt2-twin-cpu-fp32-hooks_fire": "wait"})
    return project


def go_on(project) -> None:
    (project.path / "go").touch()


@contextmanager
def shown(project, *arguments: str, **environment: str):
    with terminal_in(project.path, (MODES, *arguments), environment) as terminal:
        yield terminal


def test_a_line_on_the_run_and_one_on_what_it_is_doing_stand_below_the_rest(waiting):
    with shown(waiting) as terminal:
        lines = terminal.wait_for("check hooks_fire")
        assert lines[-2].startswith("0 of 2 targets done, 1 running, 1 waiting, ")
        worker, *target, check, name, seconds, unit, amount, gb = lines[-1].split()
        assert worker == "main"
        assert target == ["openai-community/gpt2", "twin", "cpu", "fp32"]
        assert (check, name, unit, gb) == ("check", "hooks_fire", "s", "GB")
        assert float(seconds) >= 0
        assert float(amount) > 0
        go_on(waiting)
        final = terminal.finish()
    assert not any(STANDING in line or "check hooks_fire" in line for line in final)
    assert any(line.startswith("[2/2] llama-3.2-1b twin cpu fp32  2 cases") for line in final)


def test_every_worker_has_a_line(waiting):
    waiting.behave(hooks_fire="wait")
    with shown(waiting, "-n2", "--compat-modes=fp32,bf16") as terminal:
        lines = terminal.wait_for("0 of 4 targets done, 2 running, 2 waiting", "gw0 ", "gw1 ")
        assert sorted(line.split()[0] for line in lines[-2:]) == ["gw0", "gw1"]
        go_on(waiting)
        final = terminal.finish()
    assert not any(STANDING in line for line in final)
    assert sum(line.startswith("[") and "2 cases: 2 passed" in line for line in final) == 4


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_letters_of_other_tests_stand_as_pytest_writes_them(waiting, workers):
    (waiting.path / "test_own.py").write_text(OWN_TESTS)
    with shown(waiting, workers) as terminal:
        terminal.wait_for("check hooks_fire")
        go_on(waiting)
        final = terminal.finish()
    letters = [line.removeprefix("test_own.py ").partition("[")[0].strip() for line in final]
    assert sum(len(line) for line in letters if line and set(line) == {"."}) == 300
    assert sum(line.startswith("[") and "2 cases: 2 passed" in line for line in final) == 2
    assert not any(STANDING in line for line in final)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(("-s",), {}), (("--pdb",), {}), (("-q",), {}), ((), {"TERM": "dumb"})],
    ids=["-s", "--pdb", "-q", "a dumb terminal"],
)
def test_nothing_is_drawn_where_others_write_or_nobody_wants_it(waiting, arguments, environment):
    waiting.behave(answers="pause")
    with shown(waiting, *arguments, **environment) as terminal:
        terminal.finish()
    assert DRAWN not in terminal.seen
    assert terminal.process.returncode == 0


def test_with_a_line_a_case_it_stands_below_them(waiting):
    with shown(waiting, "-v") as terminal:
        lines = terminal.wait_for("check hooks_fire")
        assert STANDING in lines[-2]
        assert "[gpt2-twin-cpu-fp32-hooks_fire]" in lines[-3]
        go_on(waiting)
        final = terminal.finish()
    assert sum(" PASSED " in line for line in final) == 4
    assert not any(STANDING in line for line in final)


def test_colours_are_left_out_where_nobody_wants_them(waiting):
    with shown(waiting, NO_COLOR="1") as terminal:
        terminal.wait_for("check hooks_fire")
        go_on(waiting)
        terminal.finish()
    assert b"\x1b[36m" not in terminal.seen


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_ctrl_c_leaves_the_terminal_as_it_was_and_says_how_to_go_on(waiting, workers):
    with shown(waiting, workers) as terminal:
        terminal.wait_for("check hooks_fire")
        terminal.interrupt()
        final = terminal.finish()
    assert terminal.process.returncode == pytest.ExitCode.INTERRUPTED
    assert not any(STANDING in line for line in final)
    assert "to go on where this stopped: the same command with --compat-resume" in final


def test_a_debugger_has_the_terminal_for_itself(waiting):
    waiting.behave(answers="debug", hooks_fire="wait")
    with shown(waiting, "-k", "gpt2") as terminal:
        terminal.wait_for("(Pdb)")
        assert not any(STANDING in line for line in terminal.lines)
        terminal.type("continue\n")
        assert STANDING in terminal.wait_for("check hooks_fire")[-2]
        go_on(waiting)
        terminal.finish()
    assert terminal.process.returncode == 0


def test_a_long_stage_is_a_line_where_there_is_no_terminal(waiting):
    with (waiting.path / "conftest.py").open("a") as conftest:
        conftest.write(TELL_AT_ONCE)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", MODES, "-n1"]
    with subprocess.Popen(command, cwd=waiting.path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("[gw0] openai-community/gpt2 twin cpu fp32: checks, "):
                go_on(waiting)
    assert (waiting.path / "go").exists()
    assert process.returncode == 0


def test_a_short_stage_is_none(project):
    result = project.run_apart(MODES)
    result.stdout.no_fnmatch_line("*so far*")
