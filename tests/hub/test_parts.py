"""The parts of a download: books, progress, eviction."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compat.weights.hub import Ledger, Wanted
from compat.weights.hub.evict import evict
from compat.weights.hub.progress import DownloadProgress, bar_class
from tests.hub.conftest import MODEL
from tests.hub.server import COMMIT, Repository

GB = 10**9
LATER = "c" * 40


def test_several_processes_never_book_more_than_the_limit(tmp_path: Path):
    def book(number: int) -> int | None:
        return Ledger(tmp_path / "run" / "downloads.log").reserve(f"org/{number}", 3 * GB, 10 * GB)

    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(book, range(8)))
    assert answers.count(None) == 3
    assert {answer for answer in answers if answer is not None} == {GB}


def test_a_ledger_names_no_folder_of_this_machine(client, tmp_path: Path):
    client().snapshot(Wanted(MODEL))
    assert str(tmp_path) not in (tmp_path / "downloads.log").read_text()


def test_progress_tells_how_much_is_there_and_how_long_it_will_take():
    clock = iter([0.0, 5.0, 60.0, 61.0, 120.0])
    said: list[str] = []
    progress = DownloadProgress("org/name", 16 * GB, said.append, lambda: next(clock))
    progress.begin()
    for done in (1 * GB, 4 * GB, 5 * GB):
        progress.reached(done)
    progress.end()
    assert said == [
        "downloading org/name: 16.0 GB",
        "downloading org/name: 4.0 GB of 16.0 GB, about 3 min left",
        "downloaded org/name: 16.0 GB in 2 min",
    ]


def test_only_bytes_are_progress(capsys: pytest.CaptureFixture[str]):
    ticks = iter(range(0, 1000, 20))
    said: list[str] = []
    progress = DownloadProgress("org/name", 100, said.append, lambda: float(next(ticks)))
    bar = bar_class(progress)
    with bar(total=3) as files, bar(total=100, unit="B") as received:
        files.update()
        received.update(50)
    assert said == ["downloading org/name: 5e-08 GB of 1e-07 GB, about 20 s left"]
    assert capsys.readouterr() == ("", "")


def evicted(client, tmp_path: Path) -> str:
    return evict(Ledger(tmp_path / "downloads.log"), MODEL, client().access.cache_folder)


def test_what_a_run_has_fetched_is_removed_with_all_that_belongs_to_it(client, tmp_path: Path):
    found = client().snapshot(Wanted(MODEL))
    assert evicted(client, tmp_path).endswith(" GB")
    assert not found.folder.exists()
    assert not list((tmp_path / "cache").rglob("blobs/*"))
    assert evicted(client, tmp_path) == "", "once is enough"


def test_what_was_there_before_the_run_stays(client, tmp_path: Path):
    found = client().snapshot(Wanted(MODEL))
    (found.folder / "model.safetensors").resolve().unlink()
    (found.folder / "model.safetensors").unlink()
    (tmp_path / "downloads.log").unlink()
    client().snapshot(Wanted(MODEL))
    assert evicted(client, tmp_path)
    assert not (found.folder / "model.safetensors").exists()
    assert (found.folder / "config.json").is_file()


def test_a_blob_that_another_commit_has_too_stays(hub, client, checkpoint, tmp_path: Path):
    hub.repositories[MODEL] = Repository({COMMIT: checkpoint, LATER: checkpoint}, {"main": LATER})
    older = client().snapshot(Wanted(MODEL, COMMIT))
    (tmp_path / "downloads.log").unlink()
    client().snapshot(Wanted(MODEL, LATER))
    evicted(client, tmp_path)
    assert (older.folder / "model.safetensors").read_bytes() == checkpoint["model.safetensors"]


def test_a_duplicate_of_the_repository_stays(hub, client, checkpoint, tmp_path: Path):
    names = [f"org/duplicate-{number}" for number in range(6)]
    hub.repositories |= {name: Repository.of(checkpoint) for name in names}
    kept = [client().snapshot(Wanted(name)).folder for name in names]
    gone = client().snapshot(Wanted(MODEL)).folder
    assert evicted(client, tmp_path)
    assert all((folder / "model.safetensors").is_file() for folder in kept)
    assert not gone.exists()


def test_what_was_fetched_to_describe_a_model_goes_too(client, tmp_path: Path):
    run = client()
    found, _ = run.small_files(Wanted(MODEL))
    run.snapshot(Wanted(MODEL))
    assert evicted(client, tmp_path)
    assert not found.folder.exists()
