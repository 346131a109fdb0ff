"""Text of a hostile checkpoint is shown as what it is: to a terminal, a browser, and Markdown."""

from __future__ import annotations

import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.hub.opening import with_config, with_json
from tests.hub.server import Repository

EVIL = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b]0;owned\x07\x1b[2J\x9b31m"
    "\u202egnp.exe\u2066\u200b\r| [x](javascript:alert(3)) `a`\x08\x00"
)
ORDERS = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Categories of characters that a terminal or a browser obeys."""
FOLLOWED = frozenset({"href", "src", "action", "formaction", "data"})
OUTSPOKEN = f"""
import sys, warnings

def test_outspoken(subject):
    evil = {EVIL!r}
    print(evil)
    print(evil, file=sys.stderr)
    warnings.warn(evil, UserWarning)
    subject.sample(evil)
    subject.measure("name", evil)
    raise RuntimeError(evil)
"""


def obeyed(text: str) -> set[str]:
    """The characters in it that give orders."""
    return {one for one in text if unicodedata.category(one) in ORDERS and one not in "\n\t"}


class Scripts(HTMLParser):
    """Collects what a browser would run, or follow, that is not the page's own."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            acted_on = name in FOLLOWED or name.startswith("on")
            if acted_on and "alert(" in (value or ""):
                self.found.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if self.get_starttag_text() == "<script>" and data.startswith("alert("):
            self.found.append(data)


def scripts_in(page: Path) -> list[str]:
    parser = Scripts()
    parser.feed(page.read_text())
    return parser.found


def written(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_a_checkpoint_says_gives_no_orders(workplace, checkpoint, workers):
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    evil = with_config(checkpoint, architectures=[EVIL], _name_or_path=EVIL)
    evil = with_json(evil, "tokenizer_config.json", chat_template=template + EVIL)
    evil.pop("chat_template.jinja", None)
    written(workplace.path / "evil", evil)
    written(workplace.path / "unknown", with_config(checkpoint, model_type=EVIL, num_layers=2))
    (workplace.path / "test_own.py").write_text(OUTSPOKEN)
    ran = workplace.pytest(
        "--compat-model", "./evil", "--compat-model", "./unknown", "--showlocals", "-rA",
        "-k", "(loads or chat_template or outspoken) and fp32", "--compat-report", "-n", workers,
        "--junitxml=junit.xml", "--html=log.html",
    )  # fmt: skip
    assert ran.returncode == 1, ran.stdout + ran.stderr
    shown = {(case["case"].split("/")[1], case["check"]): case for case in workplace.cases()}
    assert shown["evil", "chat_template_renders"]["outcome"] == "passed"
    assert shown["evil", "chat_template_renders"]["sample"].endswith(EVIL[-9:])
    assert shown["unknown", "loads"]["outcome"] != "passed"
    assert "alert(1)" in ran.stdout
    assert obeyed(ran.stdout + ran.stderr) == set()

    reports = workplace.path / "reports"
    page, markdown = reports / "index.html", (reports / "SUPPORTED_MODELS.md").read_text()
    assert "alert(1)" in page.read_text()
    assert obeyed(page.read_text() + markdown) == set()
    assert scripts_in(page) == []
    assert re.search(r"(?<!\\)(<script|<img|\]\(javascript)", markdown) is None
    assert scripts_in(workplace.path / "log.html") == []
    assert ElementTree.parse(workplace.path / "junit.xml").getroot().tag == "testsuites"
    assert obeyed((workplace.path / "junit.xml").read_text()) == set()


def test_usage_errors_and_commands_give_no_orders(workplace, hub, checkpoint):
    hub.repositories["org/evil"] = Repository.of(with_config(checkpoint, model_type=[EVIL]))
    broken = written(workplace.path / "broken", with_config(checkpoint, model_type=EVIL))
    (broken / "config.json").write_text(json.dumps({"model_type": EVIL}))
    outputs = [
        workplace.pytest("--compat-model", "./broken"),
        workplace.pytest("--compat-model", "org/evil", "--compat-download"),
        workplace.pytest("--compat-modes", EVIL.replace("\0", "")),
        workplace.compat("add", "org/evil", "--registry", "models.yaml"),
        workplace.compat("list", "-k", "x", "--model", EVIL.replace("\0", "")),
    ]
    for ran in outputs:
        assert ran.returncode != 0, ran.stdout
        assert obeyed(ran.stdout + ran.stderr) == set(), ran.stdout + ran.stderr


def test_the_search_sees_what_gives_orders(tmp_path):
    assert obeyed("a\x1b[2J\u202eb\n") == {"\x1b", "\u202e"}
    page = tmp_path / "page.html"
    page.write_text(f"<p>{EVIL}</p><a href='javascript:alert(4)'>")
    assert len(scripts_in(page)) == 3
