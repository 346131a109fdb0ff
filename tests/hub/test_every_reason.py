"""Every way in which a checkpoint can't be had, for real: one run, its records and its report."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from compat.registry.spec import ModelClass
from compat.targets.packages import install_command, is_installed
from tests.hub import faults
from tests.hub.conftest import hub_entry
from tests.hub.opening import with_config
from tests.hub.server import COMMIT, Fault, Repository, error
from tests.hub.workplace import Workplace

WEIGHTS = "model.safetensors"
OPTIONAL = ("sentencepiece", "tiktoken", "protobuf", "einops", "mamba-ssm", "causal-conv1d",
            "flash-attn", "timm", "pillow", "kernels")  # fmt: skip
Files = dict[str, bytes]


@dataclass(frozen=True)
class Way:
    """A way in which a checkpoint can't be had, and what is said of it."""

    says: str
    """The code of the reason; `failed` and `error` where it is none to be acted on here."""
    action: str = ""
    """Part of what to do, or of the message of a failure."""
    fault: Fault | None = None
    files: Callable[[Files], Files] = lambda files: files
    facts: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


def answered(status: int, code: str = "") -> Fault:
    return faults.files_only(faults.always(error(status, code, "no")))


def without(name: str) -> Callable[[Files], Files]:
    return lambda files: {other: text for other, text in files.items() if other != name}


def acorn(files: Files) -> Files:
    """A repository that brings its code, which was written for another transformers."""
    auto_map = {"AutoConfig": "configuration_acorn.AcornConfig"}
    code = b"from transformers import GoneInFive\nclass AcornConfig: pass\n"
    changed = with_config(files, model_type="acorn", auto_map=auto_map)
    return changed | {"configuration_acorn.py": code}


def pickled(files: Files) -> Files:
    return without(WEIGHTS)(files) | {"pytorch_model.bin": b"\x80" * 20_000}


def lacking_a_shard(files: Files) -> Files:
    index = b'{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
    return without(WEIGHTS)(files) | {
        "model.safetensors.index.json": index,
        "model-1.safetensors": files[WEIGHTS],
    }


OWN_CODE = {"native": False}
TRUSTED = OWN_CODE | {"trust_remote_code": True}

WAYS = {
    "gated-without-token": Way("no-token", "hf auth login", answered(401, "GatedRepo")),
    "gated-without-access": Way("gated", "ask for access", answered(403, "GatedRepo")),
    "bad-token": Way("no-token", "a token that is valid", answered(401)),
    "missing": Way("not-found", "models.yaml", faults.missing),
    "disabled": Way("not-found", "ask the model's owner", faults.disabled),
    "no-revision": Way("not-found", "revision in models.yaml", facts={"revision": "v9"}),
    "crowded": Way("rate-limited", "wait some minutes", faults.crowded),
    "broken": Way("offline", "status.huggingface.co", faults.broken),
    "down": Way("offline", "status.huggingface.co", faults.down),
    "truncated": Way("incomplete-download", "run again", faults.cut_off(20_000)),
    "shortened": Way("incomplete-download", "run again", faults.shortened),
    "lacks-a-shard": Way("incomplete-download", "--compat-download", files=lacking_a_shard),
    "lacks-config": Way("not-found", "another repository", files=without("config.json")),
    "lacks-weights": Way("not-found", "another repository", files=without(WEIGHTS)),
    "enormous": Way("disk-full", "HF_HOME", sizes={WEIGHTS: 10**16}),
    "corrupt": Way("failed", "Error", files=lambda files: files | {WEIGHTS: b"\xff" * 20_000}),
    "bad-config": Way("failed", "no JSON", files=lambda files: files | {"config.json": b"{"}),
    "unknown-architecture": Way(
        "version-too-old", "pip install --upgrade transformers",
        files=lambda files: with_config(files, model_type="tomorrow"),
    ),
    "wrong-class": Way("error", "class seq2seq", facts={"model_class": ModelClass.SEQ2SEQ}),
    "remote-code": Way("remote-code", "trust_remote_code: true", files=acorn, facts=OWN_CODE),
    "unpinned-code": Way("remote-code", "pin revision", files=acorn, facts=TRUSTED),
    "code-for-another-transformers": Way(
        "version-too-new", "an environment of its own", files=acorn,
        facts=TRUSTED | {"revision": COMMIT},
    ),
    "pickled": Way("pickle-weights", "convert them to safetensors", files=pickled),
    "teapot": Way("failed", "418", faults.always(faults.teapot)),
} | {
    f"needs-{package}": Way(
        "missing-package", f"run `{install_command(package)}`", facts={"requires": (package,)}
    )
    for package in OPTIONAL
    if not is_installed(package)
}  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """What a run over all of them came to."""

    cases: dict[str, dict[str, Any]]
    page: str
    output: str


def run_over(workplace: Workplace, *arguments: str, **environment: str) -> Ran:
    ran = workplace.pytest(
        "-m", "hub", "-k", "loads and fp32", "--compat-download", "--compat-report",
        "--compat-allow-remote-code", "-rs", *arguments, **environment,
    )  # fmt: skip
    cases = {case["case"].split("/")[1]: case for case in workplace.cases()}
    page = html.unescape((workplace.path / "reports" / "index.html").read_text())
    return Ran(cases, page, ran.stdout)


@pytest.fixture
def crowded_workplace(workplace, hub, checkpoint, described) -> Workplace:
    """A registry in which nothing can be had."""
    entries = []
    for name, way in WAYS.items():
        facts = dict(way.facts)
        stored = described.checkpoint.model_copy(update={"revision": facts.pop("revision", None)})
        entries.append(
            hub_entry(described, id=f"org/{name}", slug=name, checkpoint=stored, **facts)
        )
        broken = () if way.fault is None else (way.fault,)
        repository = Repository.of(way.files(checkpoint), *broken, sizes=way.sizes)
        hub.repositories[f"org/{name}"] = repository
    workplace.write(*entries)
    return workplace


def said_of(case: dict[str, Any]) -> tuple[str, str]:
    """What a case is called, and what it says to whoever has to act."""
    if case["outcome"] == "skipped":
        return case["reason"]["code"], case["reason"]["action"]
    return case["outcome"], f"{case['failure']['type']}: {case['failure']['message']}"


def shortcomings(name: str, way: Way, ran: Ran) -> Iterator[str]:
    case = ran.cases.get(name)
    if case is None:
        yield f"{name}: no case"
        return
    says, action = said_of(case)
    if says != way.says or way.action not in action:
        yield f"{name}: {says} ({action})"
    if case["outcome"] == "skipped":
        for part in ("text", "action"):
            if case["reason"][part][:60] not in ran.page:
                yield f"{name}: the report does not show the {part} {case['reason'][part]}"


def test_every_way_has_its_reason_its_action_and_its_place_in_the_report(crowded_workplace):
    ran = run_over(crowded_workplace)
    found = [problem for name, way in WAYS.items() for problem in shortcomings(name, way, ran)]
    assert found == []
    assert ran.cases.keys() == WAYS.keys()


@pytest.mark.parametrize("way", ["by setting", "refused"])
def test_without_a_hub_all_that_would_have_to_be_asked_is_offline(
    crowded_workplace, closed_port, way
):
    if way == "refused":
        ran = run_over(crowded_workplace, HF_ENDPOINT=closed_port)
    else:
        ran = run_over(crowded_workplace, HF_HUB_OFFLINE="1")
    offline = {name for name, case in ran.cases.items() if said_of(case)[0] == "offline"}
    known_before = {name for name in WAYS if name.startswith("needs-") or "code" in name}
    assert offline >= WAYS.keys() - known_before
    assert "connect to the network" in ran.page
