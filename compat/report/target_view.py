"""What the report shows of one target, opened."""

from __future__ import annotations

from dataclasses import dataclass

from compat.outcomes import Outcome
from compat.results.verdict import Verdict
from compat.targets import Device, Mode, Weights


@dataclass(frozen=True)
class CheckView:
    """One check of a target, in a line."""

    name: str
    outcome: Outcome | None
    """None: it is expected, and did not run."""
    word: str
    mark: str
    measures: tuple[tuple[str, str], ...] = ()
    """Label and value."""

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing more to say than that it passed."""
        return self.outcome is Outcome.PASSED


@dataclass(frozen=True)
class AreaView:
    """The checks of one area of a target."""

    name: str
    checks: tuple[CheckView, ...]


@dataclass(frozen=True)
class FindingView:
    """Checks of a target that came to the same end for the same reason."""

    word: str
    mark: str
    checks: tuple[str, ...]
    stage: str
    cases: tuple[str, ...]
    reason: str = ""
    code: str = ""
    reason_class: str = ""
    action: str = ""
    blame: str = ""
    issue: str = ""
    line: int = 0
    """In models.yaml."""
    exception: str = ""
    message: str = ""
    trace: str = ""
    reproduce: str = ""
    execution: str = ""
    """Of the record that this is read from, the first where there are several."""


@dataclass(frozen=True)
class SampleView:
    """What a model wrote during a check: untrusted."""

    check: str
    text: str


@dataclass(frozen=True)
class DifferingView:
    """A check that came to different ends in two environments: in words, with a glyph each."""

    check: str
    here: tuple[str, str]
    there: tuple[str, str]


@dataclass(frozen=True)
class TargetView:
    """A target, opened."""

    id: str
    anchor: str
    weights: Weights
    device: Device
    mode: Mode
    wrapper: str
    verdict: Verdict
    why: str
    """The verdict's sentence, made visible."""
    mark: str
    score: str
    seconds: float
    areas: tuple[AreaView, ...]
    findings: tuple[FindingView, ...]
    samples: tuple[SampleView, ...]
    measures: tuple[tuple[str, str], ...]
    """Label and value of what was measured on the target as a whole."""
    reproduce: str
    """A command with CHECK where a check's name goes; empty where no record has one."""
    revision: str
    environments: tuple[str, ...]
    date: str
    runs: tuple[str, ...]
    age: str = ""
    """Of the oldest result that it rests on, in words; empty where there is none."""
    stale: bool = False
    letter: str = ""
    """Of the environment that speaks for it; empty where the page knows one alone."""
    elsewhere: tuple[ElsewhereView, ...] = ()


@dataclass(frozen=True)
class ElsewhereView:
    """The same target in another environment."""

    target: TargetView
    environment: str
    letter: str
    compared: int
    """Checks with a result in both."""
    differing: tuple[DifferingView, ...]
    findings: tuple[FindingView, ...]
    """What was found there of the checks that differ."""
