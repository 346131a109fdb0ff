"""Checkpoints come from the hub with consent, once, whole, and nothing else of the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.weights.hub import Wanted
from compat.weights.hub.files import needed_files
from tests.hub import faults
from tests.hub.conftest import MODEL
from tests.hub.server import COMMIT, Repository

LATER = "c" * 40


def reason_of(client, wanted) -> Reason:
    with pytest.raises(CannotRun) as caught:
        client.snapshot(wanted)
    return caught.value.reason


def test_without_consent_nothing_is_asked_or_fetched(hub, client):
    reason = reason_of(client(download=None), Wanted(MODEL, gb=16.1))
    assert (reason.code, reason.text) == (ReasonCode.NOT_DOWNLOADED, "not downloaded (16.1 GB)")
    assert reason.action == "add --compat-download"
    assert hub.requests == []


def test_with_consent_the_checkpoint_is_fetched_and_its_commit_known(client, checkpoint):
    found = client().snapshot(Wanted(MODEL))
    assert found.commit == COMMIT
    assert found.notes == {
        "revision_asked": "main",
        "downloaded": True,
        "hub_license": "mit",
        "hub_gated": False,
        "hub_stored_parameters": 123,
    }
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (found.folder / name).read_bytes() == checkpoint[name]


def test_a_warm_cache_is_used_without_a_request(hub, client):
    fetched = client().snapshot(Wanted(MODEL))
    with hub.counted() as requests:
        again = client(download=None).snapshot(Wanted(MODEL))
    assert again.folder == fetched.folder
    assert requests == []


def test_only_what_is_needed_is_fetched(hub, client, checkpoint):
    more = {
        "README.md": b"read me",
        "original/consolidated.00.pth": b"p" * 20_000,
        "original/params.json": b"{}",
        "pytorch_model.bin": b"p" * 20_000,
        "consolidated.safetensors": b"c" * 20_000,
        "model.fp16.safetensors": b"c" * 20_000,
        "onnx/model.onnx": b"o" * 20_000,
        "modeling_name.py": b"raise SystemExit",
    }
    hub.repositories[MODEL] = Repository.of(checkpoint | more)
    found = client().snapshot(Wanted(MODEL))
    assert {path.name for path in found.folder.rglob("*")} <= set(checkpoint)
    assert not [request for request in hub.requests if "original" in request.path]


def test_a_limit_is_for_the_whole_run(hub, client, checkpoint):
    size = len(checkpoint["model.safetensors"])
    hub.repositories["org/other"] = Repository.of(checkpoint)
    allowed = 1.5 * size / 1e9
    client(allowed).snapshot(Wanted(MODEL))
    reason = reason_of(client(allowed), Wanted("org/other"))
    assert reason.code is ReasonCode.NOT_DOWNLOADED
    assert "are left of the" in reason.text
    assert reason.action == "allow more with --compat-download=GB"


def test_a_failed_download_does_not_use_the_limit_up(hub, client, checkpoint):
    size = len(checkpoint["model.safetensors"])
    allowed = 1.5 * size / 1e9
    hub.repositories["org/gated"] = Repository.of(checkpoint, faults.gated("right"))
    assert reason_of(client(allowed), Wanted("org/gated")).code is ReasonCode.NO_TOKEN
    assert client(allowed).snapshot(Wanted(MODEL)).folder.is_dir()


def test_the_disk_is_looked_at_before_a_byte_is_fetched(hub, client, checkpoint):
    enormous = {"model.safetensors": 10**16}
    hub.repositories[MODEL] = Repository.of(checkpoint, sizes=enormous)
    reason = reason_of(client(), Wanted(MODEL))
    assert reason.code is ReasonCode.DISK_FULL
    assert "needs 10000000.0 GB" in reason.text
    assert "HF_HOME" in reason.action
    assert [request for request in hub.requests if not request.is_api and request.path != "/"] == []


def test_a_broken_download_goes_on_where_it_stopped(hub, client, checkpoint, monkeypatch):
    # What has arrived of a chunk of 10 MB is lost with it, and the twin is smaller than one.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    size = len(checkpoint["model.safetensors"])
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.cut_off(size // 2, times=1))
    found = client().snapshot(Wanted(MODEL))
    assert (found.folder / "model.safetensors").read_bytes() == checkpoint["model.safetensors"]
    starts = [request.span for request in hub.requests if request.span]
    assert starts == [(size // 2 // 1000 * 1000, None)]


def test_a_snapshot_that_was_broken_off_is_completed(hub, client, checkpoint):
    found = client().snapshot(Wanted(MODEL))
    (found.folder / "model.safetensors").unlink()
    reason = reason_of(client(download=None), Wanted(MODEL))
    assert reason.code is ReasonCode.INCOMPLETE_DOWNLOAD
    assert "first model.safetensors" in reason.text
    assert (client().snapshot(Wanted(MODEL)).folder / "model.safetensors").is_file()


def test_a_short_file_in_the_cache_is_seen(client):
    found = client().snapshot(Wanted(MODEL))
    blob = (found.folder / "model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1])
    assert reason_of(client(download=None), Wanted(MODEL)).code is ReasonCode.INCOMPLETE_DOWNLOAD


def test_a_pinned_revision_is_fetched_though_the_branch_has_gone_on(hub, client, checkpoint):
    newer = checkpoint | {"generation_config.json": b'{"max_length": 7}'}
    hub.repositories[MODEL] = Repository({COMMIT: checkpoint, LATER: newer}, {"main": LATER})
    assert client().snapshot(Wanted(MODEL, COMMIT)).commit == COMMIT
    assert client().snapshot(Wanted(MODEL)).commit == LATER


def test_a_branch_that_has_moved_is_seen_and_the_cached_commit_tested(hub, client, checkpoint):
    client().snapshot(Wanted(MODEL))
    hub.repositories[MODEL] = Repository({COMMIT: checkpoint, LATER: checkpoint}, {"main": LATER})
    run = client()
    with hub.counted() as requests:
        first, second = run.snapshot(Wanted(MODEL)), run.snapshot(Wanted(MODEL))
    assert first.commit == second.commit == COMMIT
    assert first.notes["branch_moved_to"] == LATER
    assert len(run.said) == 1
    assert "main has moved to cccccccccccc" in run.said[0]
    assert len(requests) == 2, "one probe and one question, for however many targets"


def test_progress_says_the_size_and_what_it_took(client):
    run = client()
    run.snapshot(Wanted(MODEL))
    assert run.said[0].startswith(f"downloading {MODEL}: 0.")
    assert run.said[-1].startswith(f"downloaded {MODEL}: ")


def test_shards_are_fetched_and_a_missing_one_is_named(hub, client, checkpoint):
    weights = checkpoint["model.safetensors"]
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    index = json.dumps({"weight_map": {"a": first, "b": second}}).encode()
    sharded = {name: text for name, text in checkpoint.items() if name != "model.safetensors"}
    sharded |= {"model.safetensors.index.json": index, first: weights}
    hub.repositories[MODEL] = Repository.of(sharded)
    reason = reason_of(client(), Wanted(MODEL))
    assert reason.code is ReasonCode.INCOMPLETE_DOWNLOAD
    assert second in reason.text
    hub.repositories["org/whole"] = Repository.of(sharded | {second: weights})
    assert (client().snapshot(Wanted("org/whole")).folder / second).is_file()


@pytest.mark.parametrize(
    ("listing", "weights"),
    [
        (["model.safetensors", "model.safetensors.index.json", "a.safetensors"],
         ("model.safetensors",)),
        (["model.safetensors.index.json", "a-1.safetensors", "model.fp16.safetensors"],
         ("a-1.safetensors",)),
        (["pytorch_model.bin", "training_args.bin"], ("pytorch_model.bin",)),
        (["adapter_model.safetensors", "consolidated.safetensors"], ()),
    ],
)  # fmt: skip
def test_weights_are_wanted_once(listing, weights):
    assert needed_files(listing).weights == weights


def test_code_is_fetched_only_where_it_is_needed_and_allowed(hub, client, checkpoint):
    hub.repositories[MODEL] = Repository.of(checkpoint | {"modeling_x.py": b"X = 1\n"})
    native = Wanted(MODEL, COMMIT, trust_code=True)
    assert not list(client(allow_code=True).snapshot(native).folder.glob("*.py"))
    remote = Wanted(MODEL, COMMIT, code=True, trust_code=True)
    assert list(client(allow_code=True).snapshot(remote).folder.glob("*.py"))


def test_a_cache_that_another_tool_has_filled_is_judged_by_its_files(client, tmp_path: Path):
    found = client().snapshot(Wanted(MODEL))
    (found.folder.parents[1] / "trees" / f"{COMMIT}.json").unlink()
    assert client(download=None).snapshot(Wanted(MODEL)).commit == COMMIT
