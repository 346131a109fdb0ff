"""Every way in which a checkpoint can't be had ends in a named reason that says what to do."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.outcomes.triage import triage
from compat.weights.hub import Access, Hub, Wanted
from compat.weights.hub.patience import Patience
from tests.hub import faults
from tests.hub.conftest import MODEL
from tests.hub.server import COMMIT, Repository

WANTED = Wanted(MODEL, gb=16.1)
HF_TOKEN = "hf_" + "planted" * 5


def reason_of(client, wanted: Wanted = WANTED) -> Reason:
    with pytest.raises(CannotRun) as caught:
        client.snapshot(wanted)
    return caught.value.reason


ANSWERS = {
    "no such repository": (faults.missing, ReasonCode.NOT_FOUND, "models.yaml"),
    "hidden or private": (faults.hidden, ReasonCode.NOT_FOUND, "hf auth login"),
    "disabled": (faults.disabled, ReasonCode.NOT_FOUND, "ask the model's owner"),
    "too many requests": (faults.crowded, ReasonCode.RATE_LIMITED, "wait some minutes"),
    "internal error": (faults.broken, ReasonCode.OFFLINE, "status.huggingface.co"),
    "unavailable": (faults.down, ReasonCode.OFFLINE, "status.huggingface.co"),
    "no hub at all": (faults.no_commit_header, ReasonCode.OFFLINE, "HF_ENDPOINT"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_the_hub_answers_is_a_reason_with_an_action(hub, client, checkpoint, answer):
    fault, code, action = ANSWERS[answer]
    hub.repositories[MODEL] = Repository.of(checkpoint, fault)
    began = time.monotonic()
    reason = reason_of(client())
    assert reason.code is code
    assert action in reason.action
    assert time.monotonic() - began < 5


def test_what_the_hub_has_answered_once_is_not_asked_again(hub, client, checkpoint):
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.crowded)
    run = client()
    first = reason_of(run)
    with hub.counted() as requests:
        assert reason_of(run) == first
    assert requests == []
    assert first.text.endswith("and asks to wait 120 s")


@pytest.mark.parametrize("fault", [faults.crowded_files(120), faults.files_only(faults.crowded)])
def test_a_file_that_is_to_be_waited_for_for_minutes_is_not(hub, client, checkpoint, fault):
    hub.repositories[MODEL] = Repository.of(checkpoint, fault)
    began = time.monotonic()
    reason = reason_of(client())
    assert reason.code is ReasonCode.RATE_LIMITED
    assert reason.text.endswith("and asks to wait 120 s")
    assert "wait some minutes" in reason.action
    assert time.monotonic() - began < 5


def test_a_short_wait_is_waited(hub, client, checkpoint):
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.crowded_files(1, times=2))
    assert (client().snapshot(WANTED).folder / "model.safetensors").is_file()


def test_short_waits_without_end_come_to_an_end(hub, client, checkpoint, monkeypatch):
    monkeypatch.setattr(Patience, "SECONDS", 3.0)
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.crowded_files(1))
    began = time.monotonic()
    assert reason_of(client()).code is ReasonCode.RATE_LIMITED
    assert time.monotonic() - began < 8


def test_a_revision_that_is_not_there_is_named_a_revision(client):
    reason = reason_of(client(), Wanted(MODEL, "v9"))
    assert reason.code is ReasonCode.NOT_FOUND
    assert "revision" in reason.text


@pytest.mark.parametrize(
    ("token", "code", "action"),
    [
        (None, ReasonCode.NO_TOKEN, "run `hf auth login`"),
        ("hf_" + "wrong" * 7, ReasonCode.GATED, "ask for access"),
    ],
)
def test_a_gated_repository_says_what_is_missing(hub, client, checkpoint, token, code, action):
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.gated(HF_TOKEN))
    reason = reason_of(client(token=token))
    assert reason.code is code
    assert action in reason.action


def test_a_gated_repository_opens_with_the_right_token(hub, client, checkpoint):
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.gated(HF_TOKEN))
    assert client(token=HF_TOKEN).snapshot(WANTED).folder.is_dir()


def test_a_token_that_nobody_has_given_out_is_said_to_be_invalid(hub, client, checkpoint):
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.bad_credentials)
    reason = reason_of(client(token="hf_" + "forged" * 6))
    assert reason.code is ReasonCode.NO_TOKEN
    assert "does not know the token" in reason.text


@pytest.mark.parametrize("endpoint", ["refused", "http://no-such-host.invalid"])
def test_no_hub_is_found_out_once_and_at_once(client, closed_port, endpoint):
    run = client(endpoint=closed_port if endpoint == "refused" else endpoint)
    began = time.monotonic()
    reasons = {reason_of(run, Wanted(f"org/name-{number}")) for number in range(20)}
    assert {reason.code for reason in reasons} == {ReasonCode.OFFLINE}
    assert time.monotonic() - began < 6


def test_what_is_cached_runs_without_a_hub(client, closed_port):
    client().snapshot(WANTED)
    assert client(endpoint=closed_port).snapshot(WANTED).folder.is_dir()


def test_a_download_that_keeps_breaking_off_is_incomplete(hub, client, checkpoint, monkeypatch):
    monkeypatch.setattr(
        "huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda seconds: None)
    )
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.cut_off(20_000))
    reason = reason_of(client())
    assert reason.code is ReasonCode.INCOMPLETE_DOWNLOAD
    assert reason.action == "run again: files that are whole are kept"


def test_a_download_of_another_size_is_incomplete(hub, client, checkpoint):
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.shortened)
    reason = reason_of(client())
    assert reason.code is ReasonCode.INCOMPLETE_DOWNLOAD
    assert reason.text == "a download has another size than the hub says"


def test_a_hub_that_does_not_answer_in_time_is_out_of_reach(hub, client, checkpoint, monkeypatch):
    monkeypatch.setattr("compat.weights.hub.hub.SECONDS_TO_ANSWER", 0.1)
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.slow(1.0))
    reason = reason_of(client())
    assert reason.code is ReasonCode.OFFLINE
    assert reason.text == "the hub can't be reached from here"


def test_pickled_weights_are_refused_before_they_are_fetched(hub, client, checkpoint):
    pickled = {name: text for name, text in checkpoint.items() if name != "model.safetensors"}
    hub.repositories[MODEL] = Repository.of(pickled | {"pytorch_model.bin": b"\x80" * 20_000})
    reason = reason_of(client())
    assert reason.code is ReasonCode.PICKLE_WEIGHTS
    assert "--compat-allow-pickle" in reason.action
    assert not [request for request in hub.requests if request.path.endswith(".bin")]


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_repository_without_what_is_loaded_is_not_what_was_looked_for(
    hub, client, checkpoint, lost
):
    rest = {name: text for name, text in checkpoint.items() if name != lost}
    hub.repositories[MODEL] = Repository.of(rest)
    reason = reason_of(client())
    assert reason.code is ReasonCode.NOT_FOUND
    assert "the repository has no" in reason.text


def with_config(checkpoint, **changes):
    config = json.loads(checkpoint["config.json"]) | changes
    return checkpoint | {"config.json": json.dumps(config).encode()}


def weights_asked_for(hub) -> list[str]:
    return [request.path for request in hub.requests if request.path.endswith(".safetensors")]


def test_an_unknown_architecture_is_known_before_the_weights_are_fetched(hub, client, checkpoint):
    unknown = with_config(checkpoint, model_type="tomorrow", transformers_version="6.1.0")
    hub.repositories[MODEL] = Repository.of(unknown)
    reason = reason_of(client())
    assert reason.code is ReasonCode.VERSION_TOO_OLD
    assert "does not know model_type 'tomorrow'; the checkpoint was written by 6.1.0" in reason.text
    assert "pip install --upgrade transformers" in reason.action
    assert weights_asked_for(hub) == []


MISSING = {
    "gptqmodel": {"quant_method": "awq"},
    "optimum": {"quant_method": "gptq"},
    "compressed-tensors": {"quant_method": "compressed-tensors"},
}


@pytest.mark.parametrize("package", MISSING)
def test_a_stored_format_names_its_package_before_the_weights_are_fetched(
    hub, client, checkpoint, package
):
    stored = with_config(checkpoint, quantization_config=MISSING[package])
    hub.repositories[MODEL] = Repository.of(stored)
    reason = reason_of(client())
    assert reason.code is ReasonCode.MISSING_PACKAGE
    assert reason.action == f"run `pip install {package}`"
    assert weights_asked_for(hub) == []


@pytest.mark.parametrize(
    ("file", "package"),
    [("tokenizer.model", "sentencepiece"), ("qwen.tiktoken", "tiktoken")],
)
def test_a_tokenizer_names_its_package_before_the_weights_are_fetched(
    hub, client, checkpoint, file, package
):
    slow = {name: text for name, text in checkpoint.items() if name != "tokenizer.json"}
    hub.repositories[MODEL] = Repository.of(slow | {file: b"pieces"})
    reason = reason_of(client())
    assert reason.code is ReasonCode.MISSING_PACKAGE
    assert reason.text == f"the package {package} is not installed"
    assert weights_asked_for(hub) == []


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("import einops", "run `pip install einops`"),
        ("import flash_attn", "run `pip install flash-attn --no-build-isolation`"),
        ("from mamba_ssm import ops", "run `pip install mamba-ssm --no-build-isolation`"),
    ],
)
def test_code_names_what_it_imports_without_being_run(hub, client, checkpoint, line, action):
    code = f"{line}\nraise SystemExit('this code was run')\n".encode()
    hub.repositories[MODEL] = Repository.of(checkpoint | {"modeling_name.py": code})
    reason = reason_of(client(allow_code=True), Wanted(MODEL, COMMIT, code=True, trust_code=True))
    assert reason.code is ReasonCode.MISSING_PACKAGE
    assert reason.action == action


def test_a_damaged_cache_is_told_from_a_damaged_repository(hub, client, checkpoint):
    found = client().snapshot(WANTED)
    weights = found.folder / "model.safetensors"
    weights.resolve().write_bytes(b"\xff" * len(checkpoint[weights.name]))
    reason = reason_of(client(download=None))
    assert reason.code is ReasonCode.INCOMPLETE_DOWNLOAD
    assert "model.safetensors in the cache is damaged" in reason.text

    damaged = checkpoint | {"model.safetensors": b"\xff" * 20_000}
    hub.repositories["org/damaged"] = Repository.of(damaged)
    found = client().snapshot(Wanted("org/damaged"))
    assert found.folder.is_dir(), "what is wrong with a repository is found where it is loaded"


def test_what_is_not_on_the_list_fails_loudly(hub, client, checkpoint):
    hub.repositories[MODEL] = Repository.of(
        checkpoint, lambda repository, request: faults.teapot if request.is_api else None
    )
    with pytest.raises(Exception, match="418") as caught:
        client().snapshot(WANTED)
    assert not isinstance(caught.value, CannotRun)
    assert triage(caught.value) is None


def test_offline_by_setting_is_said_without_waiting(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    run = Hub(Access(download=1.0, cache=tmp_path, endpoint=hub.endpoint))
    reason = reason_of(run)
    assert reason.code is ReasonCode.OFFLINE
    assert "HF_HUB_OFFLINE" in reason.action
    assert hub.requests == []


def test_a_full_disk_is_a_reason():
    with pytest.raises(OSError, match="No space left") as caught, open("/dev/full", "wb") as full:
        full.write(b"x" * 1_000_000)
    reason = triage(caught.value)
    assert reason is not None
    assert reason.code is ReasonCode.DISK_FULL
