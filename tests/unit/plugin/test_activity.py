"""What a process is doing, told from its records, and how that is shown."""

from __future__ import annotations

import os
import re
from types import SimpleNamespace

import pytest

from compat.outcomes import Stage
from compat.plugin.activity import SECONDS_WORTH_A_LINE, Activity, Observed
from compat.plugin.picture import in_a_line, picture, summary
from compat.plugin.tally import Standing
from compat.results.record import CaseStartRecord, dump_record
from compat.targets.target import CaseId

NOBODYS_PID = 4_194_305
"""More than any process id of Linux."""


@pytest.fixture
def watched(tmp_path):
    """A process whose records are written here, and whose clock is set here."""
    clock = SimpleNamespace(now=0.0)
    records = tmp_path / "gw0.jsonl"

    def begin(target: str, check: str, stage: Stage, at: float) -> None:
        clock.now = at
        case = f"{target}/twin/cpu/fp32/bare/{check}"
        start = CaseStartRecord(run="r", execution=case, case=case, started="", stage=stage)
        with records.open("a") as file:
            file.write(dump_record(start) + "\n")

    def process(pid: int = os.getpid()) -> Observed:
        return Observed("gw0", pid, records, lambda: clock.now)

    return SimpleNamespace(begin=begin, process=process, clock=clock)


def test_a_process_that_has_begun_nothing_does_nothing(watched):
    assert watched.process().look() is None


def test_a_process_that_is_gone_does_nothing(watched):
    watched.begin("gpt2", "answers", Stage.LOAD, at=0)
    assert watched.process(pid=NOBODYS_PID).look() is None


def test_time_runs_anew_with_every_stage_of_every_case(watched):
    observed = watched.process()
    watched.begin("gpt2", "answers", Stage.LOAD, at=0)
    observed.look()
    watched.clock.now = 7
    assert observed.look().seconds == 7
    watched.begin("gpt2", "answers", Stage.CHECK, at=8)
    assert observed.look().seconds == 0
    watched.begin("gpt2", "hooks_fire", Stage.CHECK, at=12)
    activity = observed.look()
    assert (activity.seconds, activity.seconds_for_target) == (0, 4)
    assert activity.resident > 0


def test_a_stage_of_a_target_is_told_once_when_it_has_become_long(watched):
    observed = watched.process()

    def told(at: float) -> bool:
        watched.clock.now = at
        return observed.tell_once(observed.look())

    watched.begin("gpt2", "answers", Stage.CHECK, at=0)
    assert not told(0)
    assert not told(SECONDS_WORTH_A_LINE - 1)
    watched.begin("gpt2", "hooks_fire", Stage.CHECK, at=SECONDS_WORTH_A_LINE - 1)
    assert told(SECONDS_WORTH_A_LINE)
    assert not told(SECONDS_WORTH_A_LINE * 2)
    watched.begin("llama", "answers", Stage.LOAD, at=100)
    assert not told(100)
    assert told(100 + SECONDS_WORTH_A_LINE)


def doing(stage: Stage, worker: str = "gw0", model: str = "gpt2") -> Activity:
    case = CaseId.parse(f"{model}/twin/cpu/nf4/bare/answers")
    return Activity(worker, case, stage, 2.0, 12.0, 3_100_000_000)


def test_a_long_stage_in_a_line():
    assert in_a_line(doing(Stage.LOAD)) == "[gw0] gpt2 twin cpu nf4: load, 12 s so far, 3.1 GB"
    assert in_a_line(doing(Stage.CHECK, "main")) == (
        "gpt2 twin cpu nf4: checks, 12 s so far, 3.1 GB"
    )


def test_the_whole_run_in_a_line():
    standing = Standing(targets=9, complete=3, failing=1, began=10.0, ends=200.0)
    assert summary(standing, 2, now=50.0) == (
        "3 of 9 targets done, 2 running, 4 waiting, 1 case failing, 40 s so far, about 2 min left"
    )
    assert summary(Standing(targets=2, complete=2), 1, now=1.0).startswith(
        "2 of 2 targets done, 0 running, 0 waiting, 1 s"
    )


def test_the_picture_never_takes_more_than_its_share_of_the_screen():
    running = [doing(Stage.LOAD, f"gw{index}") for index in range(64)]
    lines = picture(Standing(targets=99), running, 1.0, os.terminal_size((80, 24)))
    assert len(lines) == 8
    assert "and 58 more" in lines[-1]


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_no_line_is_wider_than_the_screen_and_no_name_reaches_its_controls(columns, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    hostile = doing(Stage.CHECK, model="evil\x1b[2J[red]" + "x" * 200)
    lines = picture(Standing(targets=9), [hostile], 1.0, os.terminal_size((columns, 24)))
    plain = [re.sub(r"\x1b\[[012]m", "", line) for line in lines]
    assert all(len(line) < columns for line in plain)
    assert not any("\x1b" in line for line in plain)
