from __future__ import annotations

from pathlib import Path

from compat.outcomes import Stage
from compat.results.follow import Follower
from compat.results.record import dump_record
from tests.unit.results.test_merge import ended, started


def test_a_follower_knows_the_open_case_and_the_stage_it_has_come_to(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "gw0.jsonl")
    assert follower.open_case() is None
    with (tmp_path / "gw0.jsonl").open("a", encoding="utf-8") as file:
        for record, expected in (
            (started(1, stage=Stage.LOAD), started(1, stage=Stage.LOAD)),
            (started(1), started(1)),
            (ended(1), None),
            (started(2), started(2)),
        ):
            file.write(dump_record(record) + "\n")
            file.flush()
            assert follower.open_case() == expected


def test_half_a_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    line = dump_record(started(1))
    (tmp_path / "gw0.jsonl").write_text(line[:30])
    follower = Follower(tmp_path / "gw0.jsonl")
    assert follower.open_case() is None
    (tmp_path / "gw0.jsonl").write_text(line + "\n")
    assert follower.open_case() == started(1)


def test_what_is_no_record_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "gw0.jsonl").write_text("{]\n" + dump_record(started(1)) + "\n")
    assert Follower(tmp_path / "gw0.jsonl").open_case() == started(1)
