"""What can run code is run only where its entry, a pinned commit and the command line agree."""

from __future__ import annotations

import io
import pickle
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from compat.outcomes import Outcome, ReasonCode
from compat.registry.spec import ModelSpec
from compat.targets import Weights
from compat.weights.local import local_spec
from tests.hub.conftest import MODEL, files_of, hub_entry
from tests.hub.opening import Trial, outcome_of, with_config, with_json
from tests.hub.server import COMMIT, Repository
from tests.remote_code.builder import write_checkpoint

WEIGHTS = "model.safetensors"
PICKLED = "pytorch_model.bin"
MARKER = b"raise SystemExit('this code was run')\n"
SOME_MISSING = [each for each in product((True, False), repeat=3) if not all(each)]


@pytest.fixture(scope="session")
def acorn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose architecture is its own code."""
    return write_checkpoint(tmp_path_factory.mktemp("remote") / "acorn")


@pytest.fixture
def acorn(acorn_folder: Path) -> dict[str, bytes]:
    return files_of(acorn_folder)


@pytest.fixture
def acorn_entry(acorn_folder: Path) -> ModelSpec:
    return hub_entry(local_spec(acorn_folder))


def facts_of(entry: ModelSpec, *, pinned: bool, **facts: object) -> dict[str, object]:
    """What an entry of the registry says, at a commit or at the branch."""
    stored = entry.checkpoint.model_copy(update={"revision": COMMIT if pinned else None})
    return {**dict(entry), "checkpoint": stored} | facts


@pytest.mark.parametrize(("trusted", "pinned", "allowed"), SOME_MISSING)
def test_code_is_not_run_while_one_of_three_has_not_agreed(
    came_to, acorn, acorn_entry, hub, trusted, pinned, allowed
):
    files = acorn | {"modeling_acorn.py": MARKER, "configuration_acorn.py": MARKER}
    facts = facts_of(acorn_entry, pinned=pinned, trust_remote_code=trusted)
    result = came_to(files, trust=allowed, **facts)
    assert result.outcome is Outcome.SKIPPED
    reason = result.reason
    assert reason.code is ReasonCode.REMOTE_CODE
    assert f"configuration_acorn.py, modeling_acorn.py at commit {COMMIT}" in reason.text
    assert ("trust_remote_code: true" in reason.action) is not trusted
    assert (f"pin revision: {COMMIT}" in reason.action) is not pinned
    assert ("--compat-allow-remote-code" in reason.action) is not allowed
    assert not [request for request in hub.requests if request.path.endswith((".py", WEIGHTS))]


def test_code_that_all_three_agree_to_is_run(came_to, acorn, acorn_entry):
    facts = facts_of(acorn_entry, pinned=True, trust_remote_code=True)
    result = came_to(acorn, trust=True, ask=lambda subject: subject.forward(subject.text.inputs),
                     **facts)  # fmt: skip
    assert result.outcome is Outcome.PASSED, result


def test_code_in_a_repository_that_says_it_needs_none_is_listed_and_not_run(
    came_to, checkpoint, hub
):
    auto_map = {"AutoConfig": "configuration_acorn.AcornConfig"}
    files = with_config(checkpoint, model_type="acorn", auto_map=auto_map)
    result = came_to(files | {"configuration_acorn.py": MARKER}, trust=True)
    assert result.reason.code is ReasonCode.REMOTE_CODE
    assert "configuration_acorn.py at commit" in result.reason.text
    assert not [request for request in hub.requests if request.path.endswith((".py", WEIGHTS))]


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_another_repository_is_never_run(came_to, acorn, acorn_entry, hub, name):
    elsewhere = {"AutoConfig": "evil/code--configuration_acorn.AcornConfig",
                 "AutoTokenizer": ["evil/code--tokenization.Tokenizer", None]}  # fmt: skip
    hub.repositories["evil/code"] = Repository.of({"configuration_acorn.py": MARKER})
    facts = facts_of(acorn_entry, pinned=True, trust_remote_code=True)
    result = came_to(with_json(acorn, name, auto_map=elsewhere), trust=True, **facts)
    assert result.reason.code is ReasonCode.REMOTE_CODE
    assert "in another repository (evil/code)" in result.reason.text
    assert not [request for request in hub.requests if "evil" in request.path]


def test_without_consent_to_ask_the_hub_the_refusal_makes_no_request(
    hub, client, acorn, acorn_entry
):
    hub.repositories[MODEL] = Repository.of(acorn)
    entry = ModelSpec.model_construct(**facts_of(acorn_entry, pinned=True))
    result = outcome_of(entry, Weights.HUB, Trial(), Trial().opening(client(download=None)))
    assert result.reason.code is ReasonCode.REMOTE_CODE
    assert f"not here to be listed at commit {COMMIT}" in result.reason.text
    assert hub.requests == []


def test_code_of_a_folder_is_listed_with_its_hashes_and_runs_when_allowed(acorn_folder):
    entry = local_spec(acorn_folder)
    refused = outcome_of(entry, Weights.LOCAL, Trial(), Trial().opening(folder=acorn_folder))
    assert refused.reason.code is ReasonCode.REMOTE_CODE
    assert "configuration_acorn.py (sha256 " in refused.reason.text
    assert "modeling_acorn.py (sha256 " in refused.reason.text
    trial = Trial(trust=True)
    opened = outcome_of(entry, Weights.LOCAL, trial, trial.opening(folder=acorn_folder))
    assert opened.outcome is Outcome.PASSED, opened


@pytest.fixture(scope="session")
def pickled(checkpoint) -> dict[str, bytes]:
    """The twin, its weights pickled."""
    written = io.BytesIO()
    torch.save(load(checkpoint[WEIGHTS]), written)
    return {name: text for name, text in checkpoint.items() if name != WEIGHTS} | {
        PICKLED: written.getvalue()
    }


@pytest.mark.parametrize(("trusted", "pinned", "allowed"), SOME_MISSING)
def test_pickles_are_not_read_while_one_of_three_has_not_agreed(
    came_to, pickled, described, hub, trusted, pinned, allowed
):
    facts = facts_of(described, pinned=pinned, trust_pickle=trusted)
    result = came_to(pickled, pickle=allowed, **facts)
    assert result.outcome is Outcome.SKIPPED
    assert result.reason.code is ReasonCode.PICKLE_WEIGHTS
    assert f"{PICKLED} at commit {COMMIT}" in result.reason.text
    assert ("trust_pickle: true" in result.reason.action) is not trusted
    assert ("pin revision" in result.reason.action) is not pinned
    assert ("--compat-allow-pickle" in result.reason.action) is not allowed
    assert not [request for request in hub.requests if request.path.endswith(".bin")]


def test_pickles_that_all_three_agree_to_are_read(came_to, pickled, described):
    facts = facts_of(described, pinned=True, trust_pickle=True)
    assert came_to(pickled, pickle=True, **facts).outcome is Outcome.PASSED


class Planted:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_a_pickle_with_code_in_it_fails_though_everybody_agreed(
    came_to, pickled, described, tmp_path
):
    planted = tmp_path / "the-pickle-has-run"
    facts = facts_of(described, pinned=True, trust_pickle=True)
    hostile = pickled | {PICKLED: pickle.dumps(Planted(planted), 2) + b"\0" * 20_000}
    result = came_to(hostile, pickle=True, **facts)
    assert result.outcome is Outcome.FAILED
    assert not planted.exists()
