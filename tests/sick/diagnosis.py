"""Damages a patient, runs the check, and says what it found and by which of its assertions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import compat.checks
from compat.checks.registry import Check, load_catalogue
from compat.loading.open import Opening, open_subject
from compat.loading.open_pair import open_pair
from compat.outcomes import Outcome, Stage
from compat.registry.load import default_registry_path, load_registry
from compat.registry.pair import pair_named
from compat.registry.spec import ARROW, ModelSpec, Registry
from compat.report.sick_file import Fault
from compat.runner import run_case
from compat.targets import Device, Kind, Target, Weights
from compat.targets.capabilities import known_capabilities
from compat.targets.devices import this_host
from compat.weights.hub import Access, Hub
from compat.weights.local import local_spec
from compat.weights.twin import twin_checkpoint
from tests.sick.by_hand import caught_by_hand
from tests.sick.sickness import CORPUS, Corpus, Patient, Sickness

CHECKS = Path(compat.checks.__file__).parent
AREAS = (
    "structure",
    "loading",
    "anatomy",
    "tokenizer",
    "forward",
    "generation",
    "hooks",
    "gates",
    "skip_connections",
    "agency",
    "families",
    "gradients",
    "precision",
    "offload",
    "calibration",
    "embeds",
    "attention",
    "positions",
    "properties",
    "training",
    "persistence",
    "quality",
    "memory",
    "pairs",
)
COMMIT = "a" * 40
LARGEST_LOSS = 10.0
"""What a local checkpoint's entry allows, in nats. A twin that is opened as a local checkpoint
reads a text that it was not taught: its loss is that of guessing, 6 for 512 tokens."""


def load_corpus() -> Corpus:
    """Import every module of damages and return the corpus."""
    for area in AREAS:
        import_module(f"tests.sick.damages_{area}")
    return CORPUS


class Place(NamedTuple):
    """A line of a check."""

    file: str
    line: int


class Alarm(NamedTuple):
    """A check that was to stay green and did not."""

    check: str
    message: str


@dataclass(frozen=True)
class Finding:
    """What a check came to on a damaged model."""

    sickness: Sickness
    outcome: Outcome
    stage: Stage
    exception: str
    """Class name; empty where it passed."""
    message: str
    place: Place | None
    """The innermost line of a check that the exception came through."""

    spared: tuple[str, ...] = ()
    """Checks that were to stay green, and do."""
    alarms: tuple[Alarm, ...] = ()
    """Checks that were to stay green, and do not."""
    by_hand: bool | None = None
    """Whether checks that people write by hand would have seen it; None where they can't look."""

    @property
    def caught(self) -> bool:
        """Whether the named check failed, in its own body, saying what it was expected to say."""
        return (
            self.outcome is Outcome.FAILED
            and self.stage is Stage.CHECK
            and re.search(self.sickness.says, f"{self.exception}: {self.message}") is not None
        )

    @property
    def row(self) -> Fault:
        """What the report's appendix shows."""
        sickness = self.sickness
        return Fault(
            check=sickness.check,
            fault=sickness.wrong,
            model=str(sickness.patient),
            caught=self.caught,
            by_hand=self.by_hand,
            says=f"{self.exception}: {self.message}".splitlines()[0],
            spared=self.spared,
            alarms=tuple(alarm.check for alarm in self.alarms),
        )


class Clinic:
    """Opens patients. What it learns about the machine and the registry it learns once."""

    @cached_property
    def registry(self) -> Registry:
        """The registry that comes with the suite."""
        return load_registry(default_registry_path())

    @contextmanager
    def admit(self, patient: Patient, folder: Path | None = None) -> Iterator[Any]:
        """Open a healthy subject; a local one from `folder`, or else from a twin's."""
        if Kind.of(patient.model) is Kind.PAIR:
            pair = pair_named(self.registry, *patient.model.split(ARROW))
            target = Target(pair.id, pair.slug, patient.weights, Device.CPU, patient.mode)
            with open_pair(target, pair, self._opening) as both:
                yield both
            return
        spec = self.registry.by_id(patient.model)
        opening = self._opening
        if patient.weights is Weights.LOCAL:
            spec = spec.model_copy(update={"max_loss": LARGEST_LOSS})
            folder = folder or twin_checkpoint(spec).folder
            opening = replace(opening, local={spec.id: folder})
        with ExitStack() as undo:
            if patient.weights is Weights.HUB:
                spec, hub = undo.enter_context(cached_twin(spec))
                opening = replace(opening, hub=hub)
            target = Target(spec.id, spec.slug, patient.weights, Device.CPU, patient.mode)
            yield undo.enter_context(open_subject(target, spec, opening))

    def examine(self, sickness: Sickness, *, look_around: bool = True) -> Finding:
        """Damage a fresh subject before anything is computed, and run the named check on it.

        `look_around` runs, after it and on the same damaged subject, what the sickness spares and
        what people write by hand.
        """
        check = load_catalogue()[sickness.check]
        with self.admit(sickness.patient) as subject:
            sickness.damage(subject)
            forget(subject)
            result = run_case(check, subject)
            error = result.exception
            finding = Finding(
                sickness,
                result.outcome,
                result.stage,
                "" if error is None else type(error).__name__,
                str(error or ""),
                place_of(error),
            )
            if not look_around:
                return finding
            around = {one.name: run_case(one, subject) for one in spared(sickness, subject)}
            alarms = [
                Alarm(name, f"{case.outcome}: {case.exception}")
                for name, case in around.items()
                if case.outcome not in (Outcome.PASSED, Outcome.SKIPPED)
            ]
            return replace(
                finding,
                spared=tuple(n for n, case in around.items() if case.outcome is Outcome.PASSED),
                alarms=tuple(alarms),
                by_hand=caught_by_hand(subject),
            )

    @cached_property
    def _opening(self) -> Opening:
        return Opening(host=this_host())


def spared(sickness: Sickness, subject: Any) -> Iterator[Check]:
    """The checks that a sickness has to spare and that mean something for its patient."""
    target = subject.target
    known = known_capabilities(subject.spec, target)
    for name in sickness.spares:
        check = load_catalogue()[name]
        means_something = check.kind is target.kind and check.applies(target.mode, target.weights)
        if means_something and all(known.get(need, True) for need in check.needs):
            yield check


@contextmanager
def cached_twin(spec: ModelSpec) -> Iterator[tuple[ModelSpec, Hub]]:
    """A twin as if it were what the hub has under the model's name, and what describes it so."""
    folder = twin_checkpoint(spec).folder
    described = local_spec(folder).model_copy(update={"id": spec.id, "slug": spec.slug})
    with TemporaryDirectory() as cache:
        repository = Path(cache) / f"models--{spec.id.replace('/', '--')}"
        for part in ("refs", "snapshots"):
            (repository / part).mkdir(parents=True)
        (repository / "refs" / "main").write_text(COMMIT)
        (repository / "snapshots" / COMMIT).symlink_to(folder)
        yield described, Hub(Access(cache=Path(cache)))


def forget(subject: Any) -> None:
    """Drop what a subject has computed, so that a check sees the damage and not what was before."""
    for part in (subject, *getattr(subject, "both", ())):
        for parent in type(part).__mro__:
            for name, value in vars(parent).items():
                if isinstance(value, cached_property):
                    vars(part).pop(name, None)


def place_of(error: BaseException | None) -> Place | None:
    """The innermost line of a check module that an exception came through."""
    place = None
    trace = None if error is None else error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.parent == CHECKS and file.stem != "registry":
            place = Place(file.name, trace.tb_lineno)
        trace = trace.tb_next
    return place
