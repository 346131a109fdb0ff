"""What the Markdown pages are made of: the registry, and the strongest evidence for each model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from compat.fit.table import FitTable
from compat.outcomes import Blame, Outcome
from compat.registry.pair import Entry, entries_of
from compat.registry.spec import ModelSpec, Registry
from compat.report.evidence import TargetEvidence, areas_of, gather
from compat.report.markdown_table import escaped
from compat.report.view import DescribedCheck
from compat.results.freshness import Freshness
from compat.results.merge import merge
from compat.results.record import CaseRecord, Record, RunRecord
from compat.results.verdict import Verdict, Word, judge_model, leading
from compat.targets import Device, Weights
from compat.targets.target import BARE

_FAILURES = frozenset({Outcome.FAILED, Outcome.CRASHED, Outcome.TIMEOUT})
TWIN = "*(twin)*"
"""Marks what rests on a twin alone."""
MARKS = {Weights.HUB: "", Weights.LOCAL: "*(local)*", Weights.TWIN: TWIN}
"""What marks each kind of evidence: a checkpoint of the hub needs none."""

_PASSES = frozenset({Outcome.PASSED, Outcome.FIXED})
_STRENGTH = (Weights.HUB, Weights.LOCAL, Weights.TWIN)
_AGAINST = frozenset({Blame.MODEL, Blame.UPSTREAM})


@dataclass(frozen=True)
class Status:
    """How some checks of a model went, mode by mode."""

    passing: tuple[str, ...]
    """Modes in which all of them passed."""
    partly: tuple[str, ...]
    failing: tuple[str, ...]
    """Modes in which none did."""

    @property
    def is_tested(self) -> bool:
        """Whether anything is known."""
        return bool(self.passing or self.partly or self.failing)

    @property
    def glyph(self) -> str:
        """One sign for all modes."""
        if not self.is_tested:
            return "-"
        if not (self.partly or self.failing):
            return "✅"
        return "⚠️" if self.passing or self.partly else "❌"

    def __str__(self) -> str:
        """The sign, and the modes in which it is not that easy."""
        if self.glyph != "⚠️":
            return self.glyph
        parts = (("fails in", self.failing), ("partly in", self.partly))
        said = (f"{word} {', '.join(modes)}" for word, modes in parts if modes)
        return f"⚠️ {'; '.join(said)}"


@dataclass(frozen=True)
class Material:
    """Registry and evidence; what stands in a wrapper is left to the report."""

    registry: Registry
    targets: tuple[TargetEvidence, ...]
    dated: str
    """Where all of it comes from, in a sentence."""
    fit: FitTable | None = None
    """What models take at full size, where that was predicted."""

    @classmethod
    def of(
        cls,
        records: Iterable[Record],
        registry: Registry,
        checks: Collection[DescribedCheck],
        freshness: Freshness | None = None,
        fit: FitTable | None = None,
    ) -> Material:
        """Gather it from records."""
        merged = merge(records)
        found = gather(
            merged, registry, areas_of(checks, merged), checks, freshness or Freshness.of(merged)
        )
        targets = tuple(
            target
            for target in found
            if target.coordinates.wrapper == BARE
            and target.coordinates.weights is not Weights.CONFIG
        )
        return cls(registry, targets, _dated(merged), fit)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Models and pairs of the registry."""
        return entries_of(self.registry)

    @cached_property
    def evidence(self) -> Mapping[str, tuple[TargetEvidence, ...]]:
        """Model or pair -> its targets with the strongest weights that anything ran on."""
        found: dict[str, dict[Weights, list[TargetEvidence]]] = {}
        for target in self.targets:
            if any(is_decided(case) for case in target.cases.values()):
                at = target.coordinates
                found.setdefault(at.model, {}).setdefault(at.weights, []).append(target)
        return {
            model: tuple(kinds[min(kinds, key=_STRENGTH.index)]) for model, kinds in found.items()
        }

    def cases(self, model: str, checks: Collection[str] = ()) -> Iterator[CaseRecord]:
        """What is known of a model, of some checks or of all."""
        for target in self.evidence.get(model, ()):
            for name, case in target.cases.items():
                if not checks or name in checks:
                    yield case

    def status(self, model: str, areas: Collection[str], checks: Collection[str] = ()) -> Status:
        """How the checks of some areas went, or of them only `checks`."""
        modes: dict[str, list[str]] = {"passing": [], "partly": [], "failing": []}
        for target in self.evidence.get(model, ()):
            passes = [
                case.outcome in _PASSES
                for case in target.cases.values()
                if case.area in areas and (not checks or case.check in checks) and is_decided(case)
            ]
            if passes:
                kind = "passing" if all(passes) else "partly" if any(passes) else "failing"
                modes[kind].append(mode_of(target))
        return Status(**{kind: tuple(names) for kind, names in modes.items()})

    def word(self, model: str) -> Word:
        """What a model comes to over its modes, as the report judges it."""
        modes: dict[str, list[Verdict]] = {}
        for target in self.targets:
            if target.coordinates.model == model:
                modes.setdefault(mode_of(target), []).append(target.verdict)
        leads = (leading(verdicts) for verdicts in modes.values())
        return judge_model([lead for lead in leads if lead is not None])

    def kind(self, model: str) -> Weights | None:
        """The kind of weights that speaks for a model; None where none does."""
        targets = self.evidence.get(model, ())
        return targets[0].coordinates.weights if targets else None

    def by_kind(self, specs: Iterable[ModelSpec]) -> Iterator[tuple[str, list[ModelSpec]]]:
        """Models by what marks the evidence for them: what is summed up is never mixed.

        Where nothing is known of any, they come together and unmarked.
        """
        kinds: dict[Weights | None, list[ModelSpec]] = {}
        for spec in specs:
            kinds.setdefault(self.kind(spec.id), []).append(spec)
        known = [weights for weights in _STRENGTH if weights in kinds]
        for weights in known:
            yield MARKS[weights], kinds[weights]
        if not known:
            yield "", kinds.get(None, [])

    def name(self, model: str) -> str:
        """A model's id, marked where a twin or a folder speaks for it."""
        kind = self.kind(model)
        return " ".join(filter(None, (escaped(model), MARKS[kind] if kind else "")))


def is_decided(case: CaseRecord) -> bool:
    """Whether a case says something about the model: it passed, or failed by nobody else's fault.

    A row that has to go is a pass of the model.
    """
    if case.outcome is Outcome.KNOWN_FAILURE:
        return case.expectation is None or case.expectation.blame in _AGAINST
    return case.outcome in _FAILURES or case.outcome in _PASSES


def mode_of(target: TargetEvidence) -> str:
    """The mode, with its device where that is no CPU."""
    at = target.coordinates
    return str(at.mode) if at.device is Device.CPU else f"{at.device} {at.mode}"


def _dated(records: Iterable[Record]) -> str:
    runs = [record for record in records if isinstance(record, RunRecord)]
    if not runs:
        return "There are no records of a run yet."
    last = max(runs, key=lambda run: run.started)
    return (
        f"Generated by compat {escaped(last.suite)} from the records of {len(runs)} "
        f"{'run' if len(runs) == 1 else 'runs'}, the last of {escaped(last.started[:10])}. "
        f"{TWIN}: the evidence is a small model of the same architecture, made and taught here; "
        "it says nothing about output quality, the range of fp16 or memory at size."
    )
