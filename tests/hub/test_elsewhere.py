"""Weights that the hub keeps elsewhere: with a CDN, in Xet storage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compat.outcomes import CannotRun, ReasonCode
from compat.weights.hub import Wanted
from tests.hub import faults
from tests.hub.conftest import MODEL
from tests.hub.server import COMMIT, LoopbackHub, Repository

TOKEN = "hf_" + "planted" * 5
WEIGHTS = "model.safetensors"


@pytest.fixture
def cdn(checkpoint: dict[str, bytes]) -> Iterator[LoopbackHub]:
    """Another host, which has the large files and knows nothing of tokens."""
    served = LoopbackHub()
    served.repositories["cdn/blobs"] = Repository.of(checkpoint)
    yield served
    served.close()


def address(cdn: LoopbackHub) -> str:
    return f"{cdn.endpoint.replace('127.0.0.1', 'localhost')}/cdn/blobs/resolve/{COMMIT}"


def test_weights_come_from_the_host_that_the_hub_names_and_the_token_stays_with_the_hub(
    hub, cdn, client, checkpoint
):
    moved = faults.redirected_to(address(cdn))
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.gated(TOKEN), moved)
    found = client(token=TOKEN).snapshot(Wanted(MODEL))
    assert (found.folder / WEIGHTS).read_bytes() == checkpoint[WEIGHTS]
    assert [request.path for request in cdn.requests if request.path.endswith(WEIGHTS)]
    assert {request.token for request in cdn.requests} == {None}
    assert TOKEN in {request.token for request in hub.requests}


def test_what_breaks_off_elsewhere_goes_on_where_it_stopped(
    hub, cdn, client, checkpoint, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    half = len(checkpoint[WEIGHTS]) // 2
    cdn.repositories["cdn/blobs"] = Repository.of(checkpoint, faults.cut_off(half, times=1))
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.redirected_to(address(cdn)))
    found = client(token=TOKEN).snapshot(Wanted(MODEL))
    assert (found.folder / WEIGHTS).read_bytes() == checkpoint[WEIGHTS]
    resumed = [request for request in cdn.requests if request.span]
    assert [request.span for request in resumed] == [(half // 1000 * 1000, None)]
    assert {request.token for request in cdn.requests} == {None}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.crowded, ReasonCode.RATE_LIMITED),
        (faults.down, ReasonCode.OFFLINE),
        (faults.cut_off(20_000), ReasonCode.INCOMPLETE_DOWNLOAD),
        (faults.shortened, ReasonCode.INCOMPLETE_DOWNLOAD),
    ],
)
def test_what_the_other_host_answers_is_a_reason(
    hub, cdn, client, checkpoint, fault, code, monkeypatch
):
    for module in ("file_download", "utils._http"):
        monkeypatch.setattr(f"huggingface_hub.{module}.time.sleep", lambda seconds: None)
    cdn.repositories["cdn/blobs"] = Repository.of(checkpoint, fault)
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.redirected_to(address(cdn)))
    with pytest.raises(CannotRun) as caught:
        client().snapshot(Wanted(MODEL))
    assert caught.value.reason.code is code


def test_xet_storage_that_is_out_of_reach_is_a_reason(hub, client, checkpoint, closed_port):
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.in_xet(hub.endpoint, closed_port))
    with pytest.raises(CannotRun) as caught:
        client().snapshot(Wanted(MODEL))
    assert caught.value.reason.code is ReasonCode.OFFLINE
    assert "HF_HUB_DISABLE_XET=1" in caught.value.reason.action


def test_without_xet_the_same_files_come_from_the_hub(
    hub, client, checkpoint, closed_port, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.in_xet(hub.endpoint, closed_port))
    found = client().snapshot(Wanted(MODEL))
    assert (found.folder / WEIGHTS).read_bytes() == checkpoint[WEIGHTS]
