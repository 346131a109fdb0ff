"""`compat doctor MODEL`: the suite's findings about one model on this machine, on one screen."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live

from compat.checks.registry import load_catalogue
from compat.cli.diagnosis import Diagnosis, Exit
from compat.cli.doctor_screen import (
    conclusion,
    headline,
    in_words_of_the_doctor,
    lines_of_mode,
    screen,
    shown,
)
from compat.cli.examination import Examination, Outcome, Watcher
from compat.cli.listing import wide_console
from compat.cli.patient import Patient, UnsoundFolderError, find_patient
from compat.cli.steps import State
from compat.outcomes import CannotRun
from compat.plugin.amounts import download_allowed
from compat.registry.load import default_registry_path, load_registry
from compat.registry.spec import Registry
from compat.report import write_report
from compat.targets import Device, Mode, Weights
from compat.targets.selection import SelectionError, one_of, parse_names

SCHEMA = 1
NOTHING_COLLECTED, PYTEST_USAGE = 5, 4


@dataclass(frozen=True)
class Asked:
    """The options of `compat doctor MODEL`."""

    model: str
    modes: str = ""
    weights: str = ""
    device: str = ""
    download: str = ""
    allow_remote_code: bool = False
    allow_pickle: bool = False
    output: Path | None = None
    as_json: bool = False

    def pytest_arguments(self, patient: Patient) -> list[str]:
        """The same as pytest has it. Raises SelectionError."""
        arguments = ["--compat-model", patient.given]
        if patient.weights is not Weights.LOCAL:
            arguments += ["--compat-weights", patient.weights]
        if self.modes:
            modes = parse_names(Mode, self.modes, "--modes")
            arguments += ["--compat-modes", ",".join(sorted(modes))]
        if self.device:
            arguments += ["-m", one_of(Device, self.device, "--device")]
        if self.download:
            arguments += [f"--compat-download={self.download}"]
        arguments += ["--compat-allow-remote-code"] * self.allow_remote_code
        return arguments + ["--compat-allow-pickle"] * self.allow_pickle


def consult(asked: Asked, registry_file: Path | None) -> Exit:
    """Examine a model and say what was found. Raises SelectionError or RegistryError."""
    registry = load_registry(registry_file or default_registry_path())
    weights = one_of(Weights, asked.weights, "--weights") if asked.weights else None
    console = wide_console()
    try:
        allowed = download_allowed(asked.download, "")
        patient = find_patient(asked.model, weights, registry, allowed)
    except CannotRun as cannot:
        reason = cannot.reason
        return _not_examined(asked, Exit.BLOCKED_HERE, reason.text, reason.action, console)
    except UnsoundFolderError as error:
        action = "save or download the checkpoint again"
        return _not_examined(asked, Exit.BLOCKED_HERE, str(error), action, console)
    folder = asked.output or Path("reports") / "doctor" / patient.spec.slug
    arguments = asked.pytest_arguments(patient)
    if registry_file is not None:
        arguments += ["--compat-registry", str(registry_file.resolve())]
    areas = {check.name: check.area for check in load_catalogue()}
    with _watching(console, patient, quiet=asked.as_json) as watch:
        outcome = Examination(arguments, folder, areas).run(watch)
    if outcome.status == NOTHING_COLLECTED:
        raise SelectionError(
            f"there is nothing to examine: {asked.model} has none of these modes on this machine"
            "; --device gpu says what a GPU would be needed for"
        )
    page = _write_report(folder, patient, registry, outcome)
    _conclude(asked, outcome, patient, folder, page, console)
    return outcome.diagnosis.exit


@contextmanager
def _watching(console: Console, patient: Patient, *, quiet: bool) -> Iterator[Watcher]:
    """Draw what is known over and over on a terminal; elsewhere print a line a mode."""
    if quiet:
        yield lambda diagnosis, now: None
        return
    console.print(headline(patient))
    if console.is_terminal:
        with Live(console=console, transient=True, auto_refresh=False) as live:
            yield lambda diagnosis, now: live.update(
                screen(diagnosis, now or "starting"), refresh=True
            )
    else:
        yield _LineByLine(console)


class _LineByLine:
    """Prints what a mode came to, once, when its cases are done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: set[str] = set()

    def __call__(self, diagnosis: Diagnosis, now: str) -> None:
        for mode in diagnosis.verdicts:
            if diagnosis.complete(mode) and mode not in self._said:
                self._said.add(mode)
                self._console.print(lines_of_mode(diagnosis, mode))


def _write_report(
    folder: Path, patient: Patient, registry: Registry, outcome: Outcome
) -> Path | None:
    """The full report, of whatever was recorded; None where nothing was."""
    if not outcome.diagnosis.planned:
        return None
    records, known = folder / "runs", patient.added_to(registry)
    return write_report(records, known, folder, checks=tuple(load_catalogue())).html


def _conclude(
    asked: Asked,
    outcome: Outcome,
    patient: Patient,
    folder: Path,
    page: Path | None,
    console: Console,
) -> None:
    diagnosis = outcome.diagnosis
    if asked.as_json:
        _print_json(as_values(diagnosis, patient) | {"report": None if page is None else str(page)})
        return
    console.print(screen(diagnosis))
    console.print()
    console.print(conclusion(diagnosis))
    if page is None:
        console.print(f"pytest said: {shown(outcome.last_words)}")
        console.print(f"all that it said: {shown(str(folder / 'pytest.log'))}")
    else:
        console.print(f"report: {shown(str(page))}")


def _not_examined(asked: Asked, end: Exit, text: str, action: str, console: Console) -> Exit:
    """Say why there is nothing to run: what keeps the model from being described at all."""
    action = in_words_of_the_doctor(action)
    if asked.as_json:
        finding = {"what": "access", "modes": [], "text": text, "action": action}
        state = State.WRONG if end is Exit.WRONG_WITH_MODEL else State.BLOCKED
        _print_json({
            "schema": SCHEMA, "model": asked.model, "exit": end, "steps": {"access": state},
            "findings": [finding | {"state": state}], "report": None,
        })  # fmt: skip
        return end
    console.print(f"[bold]{shown(asked.model)}[/bold]\n\naccess  {shown(text)}")
    console.print(f"        [cyan]{shown(action)}[/cyan]")
    return end


def as_values(diagnosis: Diagnosis, patient: Patient) -> dict[str, object]:
    """The diagnosis for programs. Texts are as they came: escape them wherever they are shown."""
    return {
        "schema": SCHEMA,
        "model": patient.spec.id,
        "weights": patient.weights,
        "note": patient.note,
        "exit": diagnosis.exit,
        "steps": {step.name: step.state for step in diagnosis.steps},
        "verdicts": {
            mode: {"word": verdict.word, "why": verdict.why}
            for mode, verdict in diagnosis.verdicts.items()
        },
        "areas": {
            area: {mode: vars(counts) for mode, counts in modes.items()}
            for area, modes in diagnosis.areas.items()
        },
        "findings": [vars(finding) for finding in diagnosis.findings],
    }


def _print_json(values: dict[str, object]) -> None:
    json.dump(values, sys.stdout, indent=2)
    sys.stdout.write("\n")
