"""Keeps tokens, home folders, user and host names out of what is written down or shown."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TOKEN = re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{16,}\b")
TOKEN_BEGINS = ("hf_", "api_org_")
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN")
HIDDEN = "***"
QUERY = re.compile(r"""(://[^\s?"'<>\\]+\?)[^\s"'<>)\\]+""")
"""Of an address: a CDN's is signed there, and whoever has that may fetch what it names."""
SHORTEST_SECRET = 8
SHORTEST_USER = 4
EVERYBODY = frozenset({"root", "user", "users", "admin", "nobody", "runner", "ubuntu", "docker"})
"""Accounts that are called like half of all accounts, and like half of all folders."""


@dataclass(frozen=True)
class Redactor:
    """Shortens paths of this machine and hides what is nobody else's business."""

    folders: tuple[tuple[str, str], ...] = ()
    """What is written in the place of which folder, the deepest first."""
    secrets: tuple[str, ...] = ()
    host: str = ""
    user: str = ""

    @classmethod
    def here(cls, root: Path, environment: Mapping[str, str] = os.environ) -> Redactor:
        """For this process: paths below `root` are written relative to it."""
        folders = [(str(root), "."), (str(Path.home()), "~")]
        folders = [(path, short) for path, short in folders if len(path) > 1]
        values = [environment.get(name, "") for name in TOKEN_VARIABLES]
        values.append(_stored_token(environment))
        return cls(
            folders=tuple(sorted(folders, key=lambda pair: -len(pair[0]))),
            secrets=tuple(value for value in values if len(value) >= SHORTEST_SECRET),
            host=socket.gethostname(),
            user=_user(),
        )

    def text(self, text: str) -> str:
        """Free text, such as a message, a trace or a command, as it may be shown."""
        for name, pattern, short in self._names:
            text = self.line(text)
            if name in text:
                text = pattern.sub(short, text)
        return self.line(text)

    def line(self, text: str) -> str:
        """Any text at all, ids and all, without the tokens and the folders in it."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        # Next to no text holds any of it, and looking for a word is a tenth of the price of a
        # pattern's search.
        for path, pattern, short in self._folders:
            if path in text:
                text = pattern.sub(short, text)
        if "://" in text and "?" in text:
            text = QUERY.sub(rf"\1{HIDDEN}", text)
        return TOKEN.sub(HIDDEN, text) if any(begin in text for begin in TOKEN_BEGINS) else text

    @cached_property
    def _folders(self) -> tuple[tuple[str, re.Pattern[str], str], ...]:
        """Each folder with what is below it, then alone; never as a part of another path."""
        found = []
        for path, short in self.folders:
            here = rf"(?<![\w.-]){re.escape(path)}"
            below = "" if short == "." else f"{short}/"
            found.append((path, re.compile(here + re.escape(os.sep)), below))
            found.append((path, re.compile(rf"{here}(?![\w.-])"), short))
        return tuple(found)

    @cached_property
    def _names(self) -> tuple[tuple[str, re.Pattern[str], str], ...]:
        """Names of the host and of the user, and what stands in their place."""
        found = []
        # A host may be called like anything, "cpu" too: only what is plainly a name is replaced.
        for name in {self.host, self.host.partition(".")[0]}:
            if re.search(r"[\d.-]", name):
                pattern = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
                found.append((name, pattern, "HOST"))
        found.sort(key=lambda one: -len(one[0]))
        if len(self.user) >= SHORTEST_USER and self.user not in EVERYBODY:
            # Folders are called pytest-of-USER, torchinductor_USER: part of a name counts, too.
            name = rf"(?<![A-Za-z0-9]){re.escape(self.user)}(?![A-Za-z0-9])"
            found.append((self.user, re.compile(name), "USER"))
        return tuple(found)


def _stored_token(environment: Mapping[str, str]) -> str:
    """The token that `hf auth login` has left behind; empty where there is none to be read."""
    home = environment.get("HF_HOME") or os.path.join(Path.home(), ".cache", "huggingface")
    path = environment.get("HF_TOKEN_PATH") or os.path.join(home, "token")
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have a number and no name
        return ""
