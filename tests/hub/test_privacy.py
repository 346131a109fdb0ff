"""Tokens, home folder, user and host reach no record, no report, no log and no terminal.

Everything is planted, a case is made to fail with all of it in its hands, and all that the run
has written is searched.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.hub import faults
from tests.hub.conftest import MODEL
from tests.hub.server import Repository
from tests.hub.workplace import Workplace

TOKEN = "not-of-the-usual-form-7391"
STORED = "hf_" + "StoredToken" * 3
HOST = "planted-host-17"
USER = "plantedperson"
PLANTED = {"token": TOKEN, "stored token": STORED, "host": HOST, "user": USER}

ANOTHER_HOST = f"""
import platform, socket
socket.gethostname = platform.node = lambda: {HOST!r}
"""

INDISCREET = """
import os, platform, warnings, logging, sys
from pathlib import Path

def test_indiscreet(subject):
    everything = dict(os.environ)
    host, home = platform.node(), Path.home()
    stored = (home / ".cache" / "huggingface" / "token").read_text()
    print(everything, host)
    print(host, home, stored, file=sys.stderr)
    logging.getLogger("a library").warning("on %s as %s", host, everything["USER"])
    warnings.warn(f"{host} {home} {stored}", UserWarning)
    subject.measure("where", str(home / "model"))
    subject.sample(f"{host} {stored} {home}")
    raise RuntimeError(f"{everything['HF_TOKEN']} {stored} in {home} on {host}")
"""


@pytest.fixture
def planted(workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of somebody who has secrets, beside the project and not above it."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "sitecustomize.py").write_text(ANOTHER_HOST)
    home = elsewhere / "homes" / USER
    (home / ".cache" / "huggingface").mkdir(parents=True)
    (home / ".cache" / "huggingface" / "token").write_text(STORED)
    (workplace.path / "test_own.py").write_text(INDISCREET)
    return {
        "HOME": str(home),
        "USER": USER,
        "LOGNAME": USER,
        "HF_HOME": str(home / ".cache" / "huggingface"),
        "HF_TOKEN": TOKEN,
        "HF_DEBUG": "1",
        "PYTHONPATH": os.pathsep.join([str(elsewhere), *sys.path]),
    }


def leaks(workplace: Workplace, home: str, *streams: str) -> list[str]:
    """Where something planted has come to: streams by number, files by name."""
    files = [path for path in workplace.path.rglob("*") if path.is_file()]
    texts = {str(path.relative_to(workplace.path)): path.read_text("latin-1") for path in files}
    texts |= {f"stream {number}": text for number, text in enumerate(streams)}
    secrets = PLANTED | {"home": home}
    return [
        f"{what} in {where}: {text[max(0, text.index(secret) - 90) :][:200]!r}"
        for where, text in texts.items()
        for what, secret in secrets.items()
        if secret in text
    ]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_nothing_planted_gets_out(workplace, hub, checkpoint, planted, workers):
    hub.repositories[MODEL] = Repository.of(checkpoint, faults.gated(TOKEN))
    hub.repositories["org/closed"] = Repository.of(checkpoint, faults.gated("another"))
    workplace.register(MODEL, "org/closed")
    ran = workplace.pytest(
        "-m", "hub", "-k", "(loads or indiscreet) and fp32", "--compat-download", "-n", workers,
        "--showlocals", "-rA", "--compat-report", "--junitxml=junit.xml", "--html=log.html",
        **planted,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stdout + ran.stderr
    outcomes = {(case["check"], case["outcome"]) for case in workplace.cases()}
    assert ("test_own.test_indiscreet", "failed") in outcomes
    assert {outcome for _, outcome in outcomes} == {"failed", "passed", "skipped"}
    written = {path.name for path in workplace.path.rglob("*.*")}
    assert {"index.html", "SUPPORTED_MODELS.md", "junit.xml", "log.html"} <= written
    assert "everything = " in ran.stdout, "local variables are shown"
    assert "*** *** in ~ on HOST" in ran.stdout
    assert any(request.token == TOKEN for request in hub.requests)
    assert leaks(workplace, planted["HOME"], ran.stdout, ran.stderr) == []


def test_the_search_finds_what_is_there(workplace, planted):
    path = Path(workplace.path / "reports" / "a.log")
    path.parent.mkdir()
    path.write_text(f"on {HOST}")
    assert len(leaks(workplace, planted["HOME"], f"as {USER}")) == 2
