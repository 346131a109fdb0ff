"""A hostile checkpoint harms nothing, and is reported: a named reason, or a case that fails.

Each is served by a hub, or put into a folder, and really opened.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from compat.checks.generation import recites_freely
from compat.checks.tokenizer import chat_template_renders
from compat.outcomes import CannotRun, Outcome, ReasonCode
from compat.registry.spec import ModelSpec
from compat.runner import CaseResult
from compat.targets import Mode, Weights
from compat.weights.hub import Wanted
from compat.weights.local import NotACheckpointError, local_spec
from compat.weights.sound import LARGEST_FILE, UnsoundCheckpointError
from tests.hub.conftest import MODEL
from tests.hub.opening import Trial, outcome_of, with_config, with_json
from tests.hub.server import Repository

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
BILLION = 10**9


def failed_with(result: CaseResult, *names: str) -> str:
    """The message of a failing case, whose exception is one of those named."""
    assert result.outcome is Outcome.FAILED, result
    assert type(result.exception).__name__ in names, repr(result.exception)
    return str(result.exception)


ABSURD = {
    "a billion blocks": {"num_hidden_layers": BILLION},
    "a million blocks": {"num_hidden_layers": 10**6},
    "more blocks than tensors": {"num_hidden_layers": 5_000},
    "a billion labels": {"num_labels": BILLION},
    "blocks in a config within": {"vision_config": {"model_type": "x", "depth": BILLION}},
    "a width of a billion": {"hidden_size": BILLION},
    "a vocabulary of a trillion": {"vocab_size": 10**12},
}


@pytest.mark.parametrize("what", ABSURD)
def test_absurd_numbers_are_refused_before_anything_is_fetched_or_built(
    came_to, checkpoint, hub, what
):
    result = came_to(with_config(checkpoint, **ABSURD[what]))
    assert "config.json" in failed_with(result, "UnsoundCheckpointError")
    assert not [request for request in hub.requests if request.path.endswith(WEIGHTS)]


@pytest.mark.parametrize("mode", [Mode.FP32, Mode.NF4])
@pytest.mark.parametrize("key", ["intermediate_size", "head_dim", "vocab_size"])
def test_a_size_that_the_weights_do_not_have_is_not_allocated(came_to, checkpoint, key, mode):
    size = 9 * 10**6 if key == "vocab_size" else 64 * BILLION
    result = came_to(with_config(checkpoint, **{key: size}), mode=mode)
    message = failed_with(result, "UnsoundCheckpointError")
    assert "parameters, and the weights have" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[" * 100_000, "nested too deep"),
        (b'{"model_type": "llama", "a": ' + b"[" * 80 + b"]" * 80 + b"}", "nested too deep"),
        (b'{"model_type": "llama", "hidden_size": ' + b"9" * 5_000 + b"}", "no JSON"),
        (b'{"model_type": ["llama"]}', "no model_type"),
        (b'["model_type"]', "no model_type"),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_a_config_that_is_none_is_named(came_to, checkpoint, text, said):
    result = came_to(checkpoint | {"config.json": text})
    assert said in failed_with(result, "UnsoundCheckpointError")


@pytest.mark.parametrize("value", [1e400, -5, "64", None, True, [64], 0.5])
def test_a_number_that_is_none_fails(came_to, checkpoint, value):
    changed = json.loads(checkpoint["config.json"]) | {"hidden_size": value}
    text = json.dumps(changed).encode()
    assert came_to(checkpoint | {"config.json": text}).outcome is Outcome.FAILED


def tokenizer_with_merges(count: int) -> bytes:
    merges = ",".join(['["a","b"]'] * count)
    return (f'{{"model":{{"type":"BPE","vocab":{{}},"merges":[{merges}]}}}}').encode()


def test_a_tokenizer_without_bounds_is_not_fetched(came_to, checkpoint, hub):
    enormous = tokenizer_with_merges(LARGEST_FILE // 9)
    message = failed_with(
        came_to(checkpoint | {"tokenizer.json": enormous}), "UnsoundCheckpointError"
    )
    assert "tokenizer.json has 1" in message
    assert not [request for request in hub.requests if request.path.endswith("tokenizer.json")]


def test_a_tokenizer_of_a_million_merges_fails_in_its_own_time(came_to, checkpoint):
    result = came_to(checkpoint | {"tokenizer.json": tokenizer_with_merges(10**6)})
    assert result.outcome is Outcome.FAILED


def header(*tensors: tuple[str, str, list[int], list[int]], data: int = 64) -> bytes:
    said = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        for name, dtype, shape, offsets in tensors
    }
    text = json.dumps(said).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * data


LIES = {
    "a header longer than the file": struct.pack("<Q", 2**40) + b"{}",
    "a header of 2^64 bytes": b"\xff" * 8 + b"{}" * 10_000,
    "offsets past the end": header(("a", "F32", [4], [0, 1_600_000])),
    "offsets that go back": header(("a", "F32", [4], [16, 0])),
    "a shape that is larger than its bytes": header(("a", "F32", [BILLION, BILLION], [0, 16])),
    "a negative shape": header(("a", "F32", [-4], [0, 16])),
    "two tensors in one place": header(("a", "F32", [4], [0, 16]), ("b", "F32", [4], [0, 16])),
    "a dtype of its own": header(("a", "<script>", [4], [0, 16])),
    "no JSON": struct.pack("<Q", 20) + b"\xff" * 40,
    "nested for ever": struct.pack("<Q", 50_000) + b"[" * 50_000,
}


@pytest.mark.parametrize("lie", LIES)
def test_weights_that_lie_about_themselves_fail(came_to, checkpoint, lie):
    result = came_to(checkpoint | {WEIGHTS: LIES[lie]})
    assert result.outcome is Outcome.FAILED, result
    assert "SafetensorError" in type(result.exception).__name__


@pytest.fixture
def folder(checkpoint: dict[str, bytes], tmp_path: Path) -> Path:
    """A checkpoint in a folder that somebody has been sent."""
    made = tmp_path / "sent"
    made.mkdir()
    for name, content in checkpoint.items():
        (made / name).write_bytes(content)
    return made


@pytest.fixture
def opened(folder: Path, described: ModelSpec) -> Callable[[], CaseResult]:
    """What opening the folder comes to, under a description that is older than its hostility."""

    def open_folder() -> CaseResult:
        named = {"id": f"local/{folder.name}", "slug": folder.name}
        entry = described.model_copy(update=named)
        return outcome_of(entry, Weights.LOCAL, Trial(), Trial().opening(folder=folder))

    return open_folder


ELSEWHERE = ["../../secret.safetensors", "/etc/passwd.safetensors", "..", "", "a/b.safetensors",
             "\x1b[2J.safetensors", "c:\\x.safetensors", "evil.bin"]  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_shard_index_leads_nowhere_else(came_to, checkpoint, folder, opened, name):
    index = json.dumps({"weight_map": {"a": name}}).encode()
    message = failed_with(came_to(checkpoint | {INDEX: index}), "UnsoundCheckpointError")
    assert repr(name) in message
    (folder / INDEX).write_bytes(index)
    assert repr(name) in failed_with(opened(), "UnsoundCheckpointError")
    with pytest.raises(NotACheckpointError, match=INDEX):
        local_spec(folder)


@pytest.mark.parametrize("index", [b"[]", b'{"weight_map": 3}', b"{}"])
def test_a_shard_index_that_is_none_is_named(came_to, checkpoint, index):
    result = came_to(checkpoint | {INDEX: index})
    assert "lists no files" in failed_with(result, "UnsoundCheckpointError")


@pytest.mark.parametrize("name", ["tokenizer.json", "chat_template.jinja", WEIGHTS, "config.json"])
def test_a_link_out_of_a_folder_is_not_followed(folder, opened, tmp_path, name):
    secret = tmp_path / "secret"
    secret.write_bytes((folder / name).read_bytes() if (folder / name).exists() else b"secret")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    message = failed_with(opened(), "UnsoundCheckpointError")
    assert f"{name} is a link that leads out of the folder" in message
    with pytest.raises(UnsoundCheckpointError):
        local_spec(folder)


def test_links_within_a_folder_and_those_of_the_hubs_cache_are_its_own(client, folder, opened):
    (folder / WEIGHTS).rename(folder / "weights")
    (folder / WEIGHTS).symlink_to("weights")
    assert opened().outcome is Outcome.PASSED
    assert local_spec(client().snapshot(Wanted(MODEL)).folder).parameters


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder, opened):
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")
    assert "is no plain file" in failed_with(opened(), "UnsoundCheckpointError")


def test_a_tokenizer_reads_no_other_file_of_this_machine(came_to, checkpoint, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret")
    files = with_json(checkpoint, "tokenizer_config.json", vocab_file=str(secret))
    message = failed_with(came_to(files), "UnsoundCheckpointError")
    assert "read another file as its vocab_file" in message


def test_a_path_of_the_machine_it_was_made_on_is_no_such_file(came_to, checkpoint):
    nowhere = {"special_tokens_map_file": "/home/author/special_tokens_map.json"}
    files = with_json(checkpoint, "tokenizer_config.json", **nowhere)
    assert came_to(files).outcome is Outcome.PASSED


def test_names_in_a_listing_lead_nowhere_else(hub, client, checkpoint, tmp_path):
    outside = {
        "../../../../escaped.json": b"{}",
        "chat_templates/../../../escaped.jinja": b"x",
        "/tmp/escaped.json": b"{}",
        "*.json": b"{}",
        "a\x1b[2J.json": b"{}",
    }
    hub.repositories[MODEL] = Repository.of(checkpoint | outside)
    found = client().snapshot(Wanted(MODEL))
    assert {path.name for path in found.folder.iterdir()} - {"*.json"} == set(checkpoint)
    assert not list(tmp_path.rglob("*escaped*"))


def test_an_adapter_does_not_lead_to_another_model(came_to, checkpoint, hub):
    adapter = {"base_model_name_or_path": "evil/base", "peft_type": "LORA"}
    result = came_to(checkpoint | {"adapter_config.json": json.dumps(adapter).encode()})
    assert result.outcome is Outcome.PASSED
    assert not [request for request in hub.requests if "adapter" in request.path]


TEMPLATES = {
    "loops for ever": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}",
    "fills the memory": "{{ 'a' * 100000000000 }}",
    "doubles without end": "{% set n = namespace(t='aaaaaaaa') %}{% for a in range(99) %}"
    "{% set n.t = n.t + n.t %}{% endfor %}{{ n.t }}",
    "calls a class": "{{ messages.__class__.__mro__[1].__subclasses__() }}",
    "reaches globals": "{{ cycler.__init__.__globals__.os.popen('touch escaped').read() }}",
    "reaches them by format": "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
    "changes the messages": "{{ messages.append(1) }}",
    "no template": "{% for %}",
    "includes a file": "{% include '/etc/passwd' %}",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_chat_template_runs_within_bounds_and_reaches_nothing(
    came_to, checkpoint, template, monkeypatch
):
    monkeypatch.setattr("compat.checks.tokenizer.SECONDS_TO_RENDER", 0.5)
    files = with_json(checkpoint, "tokenizer_config.json", chat_template=TEMPLATES[template])
    files.pop("chat_template.jinja", None)
    result = came_to(files, ask=chat_template_renders)
    assert result.outcome is Outcome.FAILED, result
    if template in ("loops for ever", "fills the memory", "doubles without end"):
        assert "the chat template takes" in failed_with(result, "BoundsExceededError")
    assert not Path("escaped").exists()


def test_a_generation_config_without_bounds_is_not_obeyed(came_to, checkpoint):
    absurd = {"max_length": 10**12, "max_new_tokens": 10**12, "num_beams": 10**6,
              "num_return_sequences": 10**6, "num_beam_groups": 10, "do_sample": True,
              "cache_implementation": "static", "min_length": 10**9}  # fmt: skip
    files = with_json(checkpoint, "generation_config.json", **absurd)
    result = came_to(files, ask=recites_freely)
    assert result.outcome is Outcome.PASSED, result


def test_a_hostile_repository_is_a_reason_where_it_is_named_and_in_no_registry(hub, client):
    hub.repositories["evil/empty"] = Repository.of({"config.json": b"[" * 10_000, WEIGHTS: b"x"})
    with pytest.raises((NotACheckpointError, CannotRun)) as caught:
        client().small_files(Wanted("evil/empty"))
    assert "nested too deep" in str(caught.value)


def test_a_name_that_is_a_path_is_no_model(client):
    for name in ("../../etc", "org/../../x", "org/na me", "org/<script>"):
        with pytest.raises(CannotRun) as caught:
            client().snapshot(Wanted(name))
        assert caught.value.reason.code is ReasonCode.NOT_FOUND
