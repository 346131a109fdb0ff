"""Consent to what can run code on this machine: a checkpoint's own Python, and pickled weights.

Three say yes: the registry entry, that somebody has read it; the entry's revision, which is a
commit, that what was read is what is run; the command line, that it is run today. A folder that is
given by its path is its owner's: nobody can change it from afar, and the command line suffices.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.weights.sound import read_json

COMMIT = re.compile(r"[0-9a-f]{40}")
FILES_SHOWN = 6
DIGITS_SHOWN = 16
CONFIGS = ("config.json", "tokenizer_config.json", "processor_config.json",
           "preprocessor_config.json")  # fmt: skip
"""Files whose `auto_map` names classes of the checkpoint's own code."""
ELSEWHERE = "--"
"""Stands in an `auto_map` between another repository and the class in it."""


@dataclass(frozen=True)
class Policy:
    """What the person who runs the suite has allowed. Everything risky is off."""

    allow_remote_code: bool = False
    """Run code that comes with a checkpoint."""
    allow_pickle: bool = False
    """Unpickle weights where a checkpoint has no safetensors."""


@dataclass(frozen=True)
class Risk:
    """Something of a checkpoint that can run code, and what consents to it are called."""

    code: ReasonCode
    what: str
    read_first: str
    entry_key: str
    option: str


REMOTE_CODE = Risk(
    ReasonCode.REMOTE_CODE,
    "the model runs code from its repository",
    "read it",
    "trust_remote_code",
    "--compat-allow-remote-code",
)
PICKLE = Risk(
    ReasonCode.PICKLE_WEIGHTS,
    "the weights are pickled, and reading them can run any code",
    "convert them to safetensors; or make sure who wrote them",
    "trust_pickle",
    "--compat-allow-pickle",
)


@dataclass(frozen=True)
class Consent:
    """Who has said yes to a risk."""

    trusted: bool
    """The entry of the registry, or the person who has given a folder by its path."""
    pinned: bool
    """The revision: a commit, which nobody can move."""
    allowed: bool
    """The command line."""

    @property
    def given(self) -> bool:
        """Whether nobody is missing."""
        return self.trusted and self.pinned and self.allowed

    def refusal(self, risk: Risk, files: str, commit: str | None = None) -> Reason:
        """The reason not to run `files`, and what whoever is missing has to say."""
        steps = [risk.read_first]
        if not self.trusted:
            steps.append(f"write {risk.entry_key}: true into its entry")
        if not self.pinned:
            steps.append(f"pin revision: {commit or 'COMMIT'} in its entry")
        if not self.allowed:
            steps.append(f"allow it with {risk.option}")
        action = ", ".join(steps[:-1]) + f", then {steps[-1]}"
        return Reason(risk.code, f"{risk.what}: {files}", action)


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a commit in full, and no branch or tag, which can be moved."""
    return revision is not None and COMMIT.fullmatch(revision) is not None


def consent_of_owner(allowed: bool) -> Consent:
    """Consent to what is in a folder that was given by its path."""
    return Consent(trusted=True, pinned=True, allowed=allowed)


def runs_code(spec: ModelSpec, revision: str | None, allowed: bool) -> bool:
    """Whether the code of a checkpoint is run: needed, and consented to.

    `revision` is the commit that was found; None for a folder that was given by its path. A class
    that transformers has itself is never replaced by the repository's.
    """
    pinned = revision is None or revision == spec.checkpoint.revision
    return not spec.native and Consent(spec.trust_remote_code, pinned, allowed).given


def files_listed(names: list[str], commit: str | None) -> str:
    """Names of files, and the commit that they are of."""
    shown = ", ".join(names[:FILES_SHOWN]) or "its files are not here to be listed"
    more = f" and {len(names) - FILES_SHOWN} more" if len(names) > FILES_SHOWN else ""
    return f"{shown}{more}" + (f" at commit {commit}" if commit else "")


def files_hashed(paths: list[Path]) -> str:
    """Names of files that are here, and the beginning of the SHA-256 of each."""
    return files_listed([f"{path.name} (sha256 {_sha256(path)})" for path in paths], None)


def refuse_code_elsewhere(folder: Path) -> None:
    """Raise CannotRun where the checkpoint's code is in another repository than the checkpoint.

    Whatever its revision says, it would be that repository's newest commit that is run.
    """
    for name in CONFIGS:
        for reference in _references(folder / name):
            if ELSEWHERE in reference:
                raise CannotRun(
                    Reason(
                        ReasonCode.REMOTE_CODE,
                        f"the code that {name} names is in another repository "
                        f"({reference.partition(ELSEWHERE)[0]}), which no commit of this one pins",
                        "nothing to do here: ask the model's owner to put the code beside the "
                        "weights, or test a folder that holds both",
                    )
                )


def _references(path: Path) -> Iterator[str]:
    """The classes that an `auto_map` names."""
    if not path.is_file():
        return
    written = read_json(path)
    mapped = written.get("auto_map") if isinstance(written, dict) else None
    values = mapped.values() if isinstance(mapped, dict) else (mapped,)
    for value in values:
        yield from map(str, value if isinstance(value, list) else (value,))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS_SHOWN]
