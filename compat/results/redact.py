"""Keeps tokens, home folders and host names out of what is written down."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TOKEN = re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{16,}\b")
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN")
HIDDEN = "***"
SHORTEST_SECRET = 8


@dataclass(frozen=True)
class Redactor:
    """Shortens paths of this machine and hides what is nobody else's business."""

    folders: tuple[tuple[str, str], ...] = ()
    """What is written in the place of which folder, the deepest first."""
    secrets: tuple[str, ...] = ()
    host: str = ""

    @classmethod
    def here(cls, root: Path, environment: Mapping[str, str] = os.environ) -> Redactor:
        """For this process: paths below `root` are written relative to it."""
        folders = [(str(root), "."), (str(Path.home()), "~")]
        folders = [(path, short) for path, short in folders if len(path) > 1]
        values = (environment.get(name, "") for name in TOKEN_VARIABLES)
        return cls(
            folders=tuple(sorted(folders, key=lambda pair: -len(pair[0]))),
            secrets=tuple(value for value in values if len(value) >= SHORTEST_SECRET),
            host=socket.gethostname(),
        )

    def text(self, text: str) -> str:
        """Free text, such as a message, a trace or a command, as it may be shown."""
        for path, short in self.folders:
            text = text.replace(f"{path}{os.sep}", "" if short == "." else f"{short}{os.sep}")
            text = re.sub(rf"{re.escape(path)}(?![\w.-])", short, text)
        # A host may be called like anything, "cpu" too: only what is plainly a name is replaced.
        if re.search(r"[\d.-]", self.host):
            text = re.sub(rf"(?<![\w.-]){re.escape(self.host)}(?![\w-])", "HOST", text)
        return self.line(text)

    def line(self, text: str) -> str:
        """Any text at all, without the tokens in it."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return TOKEN.sub(HIDDEN, text)
