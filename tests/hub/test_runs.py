"""Whole runs against the loopback hub: what is tested, recorded, asked for, and never written."""

from __future__ import annotations

from typing import Any

from tests.hub import faults
from tests.hub.conftest import MODEL
from tests.hub.server import COMMIT, Repository

TOKEN = "hf_" + "PlantedToken" * 3
FEW = "loads or matches_registry or repeats"
LATER = "c" * 40


def outcomes(cases: list[dict[str, Any]]) -> set[str]:
    return {case["outcome"] for case in cases}


def test_a_run_downloads_once_and_runs_again_without_a_request(workplace, hub):
    selected = ("-m", "hub", "-k", f"({FEW}) and (fp32 or nf4)")
    asked = workplace.pytest(*selected)
    assert asked.returncode == 0, asked.stdout
    assert "add --compat-download" in asked.stdout
    assert hub.requests == []

    ran = workplace.pytest(*selected, "--compat-download")
    assert ran.returncode == 0, ran.stdout
    assert outcomes(workplace.cases()) == {"passed"}
    assert {case["revision"] for case in workplace.cases()} == {COMMIT}
    noted = next(case for case in workplace.cases() if "revision_asked" in case["measures"])
    assert noted["measures"]["downloaded"] is True
    fetches = [request for request in hub.requests if request.method == "GET"]
    weights = [request for request in fetches if request.path.endswith("model.safetensors")]
    assert len(weights) == 1, "two modes, one download"

    with hub.counted() as requests:
        again = workplace.pytest(*selected, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stdout
    assert outcomes(workplace.cases()) == {"passed"}
    assert requests == []


def test_what_a_run_has_fetched_goes_with_its_last_case_and_the_rest_stays(workplace, hub, twin):
    workplace.register(MODEL, "org/other")
    hub.repositories["org/other"] = hub.repositories[MODEL]
    assert workplace.pytest(
        "-m", "hub", "-k", "loads and fp32 and name", "--compat-download"
    ).returncode == 0  # fmt: skip
    before = workplace.snapshots()
    assert before
    ran = workplace.pytest("-m", "hub", "-k", FEW, "--compat-modes", "fp32,bf16",
                           "--compat-download=1", "--compat-evict", "-n", "2")  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert "removed the download of org/other: " in ran.stdout
    assert sorted(workplace.snapshots()) == sorted(before)


def test_workers_tell_how_their_downloads_get_on(workplace, hub):
    workplace.register(MODEL, "org/other")
    hub.repositories["org/other"] = hub.repositories[MODEL]
    ran = workplace.pytest("-m", "hub", "-k", "loads and fp32", "--compat-download", "-n", "2")
    assert ran.returncode == 0, ran.stdout
    said = [line for line in ran.stderr.splitlines() if line.startswith("[gw")]
    for model in (MODEL, "org/other"):
        assert any(f"downloading {model}: 0." in line for line in said), ran.stderr
        assert any(f"downloaded {model}: 0." in line for line in said), ran.stderr


def test_each_reason_is_recorded_with_its_action_and_shown_in_the_report(
    workplace, hub, checkpoint
):
    troubled = {
        "gated": (Repository.of(checkpoint, faults.gated("right")), "no-token"),
        "missing": (Repository.of(checkpoint, faults.missing), "not-found"),
        "disabled": (Repository.of(checkpoint, faults.disabled), "not-found"),
        "crowded": (Repository.of(checkpoint, faults.crowded), "rate-limited"),
        "down": (Repository.of(checkpoint, faults.down), "offline"),
        "enormous": (
            Repository.of(checkpoint, sizes={"model.safetensors": 10**16}),
            "disk-full",
        ),
        "pickled": (
            Repository.of(
                {n: c for n, c in checkpoint.items() if n != "model.safetensors"}
                | {"pytorch_model.bin": b"\x80" * 100}
            ),
            "pickle-weights",
        ),
    }
    for name, (repository, _) in troubled.items():
        hub.repositories[f"org/{name}"] = repository
    workplace.register(*(f"org/{name}" for name in troubled))
    ran = workplace.pytest("-m", "hub", "-k", "loads and fp32", "--compat-download",
                           "--compat-report")  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    cases = workplace.cases()
    found = {case["case"].split("/")[1]: case["reason"]["code"] for case in cases}
    assert found == {name: code for name, (_, code) in troubled.items()}
    page = (workplace.path / "reports" / "index.html").read_text()
    for case in cases:
        assert case["reason"]["action"]
        assert case["reason"]["text"].split("'")[0] in page


def test_a_token_is_sent_and_never_written(workplace, hub, checkpoint):
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.gated(TOKEN))
    hub.repositories["org/closed"] = Repository.of(checkpoint, faults.gated("another"))
    workplace.register(MODEL, "org/closed")
    ran = workplace.pytest("-m", "hub", "-k", "loads and fp32", "--compat-download",
                           "--compat-report", HF_TOKEN=TOKEN, HF_DEBUG="1")  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert {case["outcome"] for case in workplace.cases()} == {"passed", "skipped"}
    assert any(request.token == TOKEN for request in hub.requests)
    assert TOKEN not in ran.stdout
    written = [path for path in workplace.path.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []


def test_a_registry_that_says_something_else_than_the_checkpoint_fails(workplace):
    widths = workplace.described.widths.model_copy(update={"hidden": 4096})
    workplace.register(MODEL, widths=widths)
    ran = workplace.pytest("-m", "hub", "-k", "matches_registry and fp32", "--compat-download")
    assert ran.returncode == 1
    (case,) = (case for case in workplace.cases() if case["check"].startswith("checkpoint"))
    assert "hidden width: the registry says 4096, the checkpoint 64" in case["failure"]["message"]


def test_what_the_hub_says_of_licence_and_gate_is_held_against_the_registry(
    workplace, hub, checkpoint
):
    hub.repositories[MODEL] = Repository.of(checkpoint, license="apache-2.0", gated="auto")
    drifted = workplace.described.checkpoint.model_copy(update={"license": "mit", "gated": False})
    workplace.register(MODEL, checkpoint=drifted, parameters=7)
    selected = ("-m", "hub", "-k", "matches_registry and fp32")
    ran = workplace.pytest(*selected, "--compat-download")
    assert ran.returncode == 1
    (case,) = (case for case in workplace.cases() if case["check"].startswith("checkpoint"))
    message = case["failure"]["message"]
    assert "licence: the registry says mit, the checkpoint apache-2.0" in message
    assert "gated: the registry says False, the checkpoint auto" in message
    assert "parameters: the registry says 7, the checkpoint " in message
    assert case["measures"]["hub_stored_parameters"] == 123

    offline = workplace.pytest(*selected, HF_HUB_OFFLINE="1")
    assert offline.returncode == 1
    (case,) = (case for case in workplace.cases() if case["check"].startswith("checkpoint"))
    assert "licence" not in case["failure"]["message"], "nobody was asked"


def test_a_model_of_no_registry_is_tested_at_a_revision(workplace, hub, checkpoint):
    hub.repositories["else/where"] = Repository(
        {COMMIT: checkpoint, LATER: checkpoint}, {"main": LATER}
    )
    given = ("--compat-model", f"else/where@{COMMIT}", "-k", f"({FEW}) and fp32")
    refused = workplace.pytest(*given)
    assert refused.returncode == 4
    assert "add --compat-download" in refused.stderr + refused.stdout
    ran = workplace.pytest(*given, "--compat-download")
    assert ran.returncode == 0, ran.stdout
    cases = workplace.cases()
    assert outcomes(cases) == {"passed"}
    assert {case["revision"] for case in cases} == {COMMIT}
    assert f"--compat-model else/where@{COMMIT}" in cases[0]["reproduce"]


def test_too_many_skips_fail_a_run_that_would_be_green(workplace):
    selected = ("-m", "hub", "-k", "loads and (fp32 or bf16)")
    within = workplace.pytest(*selected, "--compat-max-skips", "100%")
    assert within.returncode == 0
    over = workplace.pytest(*selected, "--compat-max-skips", "1")
    assert over.returncode == 1
    assert "cases were skipped (" in over.stdout
    assert "more than --compat-max-skips=1 allows" in over.stdout
    for named in ("not-downloaded", "access"):
        assert workplace.pytest(*selected, "--compat-no-skip", named).returncode == 1


def test_add_writes_an_entry_that_holds(workplace, hub, checkpoint):
    hub.repositories["new/model"] = Repository.of(checkpoint, gated="manual")
    written = "# a comment that stays\n" + (workplace.path / "models.yaml").read_text()
    (workplace.path / "models.yaml").write_text(written)
    added = workplace.compat("add", "new/model", "--registry", "models.yaml")
    assert added.returncode == 0, added.stderr
    text = (workplace.path / "models.yaml").read_text()
    assert text.startswith(written.rstrip("\n"))
    assert "block_class" not in text
    assert "gated: manual" in text
    whole = [request for request in hub.requests
             if request.path.endswith(".safetensors") and request.method == "GET"
             and request.span is None]  # fmt: skip
    assert whole == [], "headers tell, the weights are not fetched"
    ran = workplace.pytest("--compat-model", "new/model", "-m", "structure")
    assert ran.returncode == 0, ran.stdout
    twice = workplace.compat("add", "new/model", "--registry", "models.yaml")
    assert twice.returncode == 2
    assert "is taken by" in twice.stderr
    assert (workplace.path / "models.yaml").read_text() == text
