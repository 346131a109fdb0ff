"""What a diagnosis looks like: one screen on a terminal, and the same lines in a file.

Everything that comes from a model or a checkpoint is untrusted: control characters are made visible
and rich's markup is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from compat.cli.diagnosis import Area, Diagnosis, Exit, Finding
from compat.cli.patient import Patient
from compat.cli.steps import State, Step
from compat.results.visible import visible
from compat.targets import Weights

MARKS = {
    State.FINE: ("green", "✓"),
    State.WRONG: ("red", "✗"),
    State.BLOCKED: ("yellow", "!"),
    State.WAITING: ("dim", "·"),
    State.NOTHING: ("dim", " "),
}
LONGEST_TEXT = 300
SHOWN_FINDINGS = 12
PYTEST_OPTIONS = {
    "--compat-download": "--download any",
    "--compat-allow-remote-code": "--allow-remote-code",
    "--compat-allow-pickle": "--allow-pickle",
}
"""Options of pytest that actions name, as the doctor has them."""

SENTENCES = {
    Exit.WORKS: "It works here",
    Exit.WRONG_WITH_MODEL: "Something is wrong with this model",
    Exit.BLOCKED_HERE: "It can't be examined here",
    Exit.SUITE_FAILED: "The examination failed, which says nothing about the model",
    Exit.INTERRUPTED: "The examination was interrupted",
}


def headline(patient: Patient) -> str:
    """Who is examined, in markup, and why these weights where others would say more."""
    spec, kind = patient.spec, patient.weights
    size = f"{spec.parameters / 1e9:.3g} billion parameters"
    if spec.parameters < 1e9:
        size = f"{spec.parameters / 1e6:.3g} million parameters"
    own = "its twin" if kind is Weights.TWIN else "the checkpoint on the hub"
    what = "a folder" if kind is Weights.LOCAL else own
    line = f"[bold]{shown(spec.id)}[/bold] ({what}; {shown(spec.family)}, {size})"
    return f"{line}\n{shown(patient.note)}; {shown(patient.note_action)}" if patient.note else line


def screen(diagnosis: Diagnosis, now: str = "") -> RenderableType:
    """All that is known so far; `now` is what the run has said last."""
    parts: list[RenderableType] = ["", _steps(diagnosis)]
    if diagnosis.areas:
        parts += ["", _areas(diagnosis)]
    if now:
        progress = f"{diagnosis.done} of {diagnosis.planned} cases  {visible(now, LONGEST_TEXT)}"
        return Group(*parts, "", Text(progress, style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts, *_findings(diagnosis))


def conclusion(diagnosis: Diagnosis) -> str:
    """What it all comes to, in one sentence of markup."""
    by_label: dict[str, list[str]] = {}
    for mode, verdict in diagnosis.verdicts.items():
        by_label.setdefault(verdict.label, []).append(mode)
    listed = "; ".join(f"{label}: {', '.join(modes)}" for label, modes in by_label.items())
    sentence = f"[bold]{SENTENCES[diagnosis.exit]}[/bold]"
    return f"{sentence}. {shown(listed)}" if listed else f"{sentence}."


def lines_of_mode(diagnosis: Diagnosis, mode: str) -> str:
    """What a mode came to, in one line of markup: for where nothing can be drawn over."""
    verdict = diagnosis.verdicts[mode]
    why = "It does not load." if mode in diagnosis.unloadable else verdict.why
    return f"{mode}: {verdict.label}. {shown(why)}"


def shown(text: str) -> str:
    """Untrusted text as markup that shows it and obeys nothing in it."""
    return escape(visible(" ".join(text.split()), LONGEST_TEXT))


def in_words_of_the_doctor(action: str) -> str:
    """What to do, with the doctor's options in the place of pytest's."""
    for of_pytest, own in PYTEST_OPTIONS.items():
        action = action.replace(of_pytest, own)
    return action


def _steps(diagnosis: Diagnosis) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for step in diagnosis.steps:
        table.add_row(step.name, _mark(step.state), shown(_said(step, diagnosis.modes)))
    return table


def _said(step: Step, modes: tuple[str, ...]) -> str:
    if step.state is State.BLOCKED:
        return str(step.state)
    if step.state is State.WAITING or step.taken == modes or step.name == "load":
        return step.detail
    return f"{', '.join(step.taken) or 'in no mode'}  {step.detail}".rstrip()


def _areas(diagnosis: Diagnosis) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("checks that passed", no_wrap=True)
    for mode in diagnosis.modes:
        table.add_column(mode, no_wrap=True)
    for area, by_mode in diagnosis.areas.items():
        cells = (_cell(by_mode.get(mode), diagnosis.complete(mode)) for mode in diagnosis.modes)
        table.add_row(shown(area), *cells)
    return table


def _cell(area: Area | None, complete: bool) -> str:
    if area is None:
        return _mark(State.NOTHING if complete else State.WAITING)
    counts = [f"{_mark(area.state)} {area.passed}" if area.passed else _mark(area.state)]
    for count, word in (
        (area.wrong, "wrong"),
        (area.known, "known"),
        (area.errors, "error"),
        (area.blocked, "not run"),
    ):
        if count:
            counts.append(f"{count} {word}")
    return " ".join(counts)


def _findings(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    for state, title in (
        (State.WRONG, "What is wrong"),
        (State.BLOCKED, "What stands in the way here"),
        (State.FINE, "What is known to fail"),
    ):
        found = [finding for finding in diagnosis.findings if finding.state is state]
        if not found:
            continue
        yield Text(f"\n{title}", style="bold")
        for finding in found[:SHOWN_FINDINGS]:
            yield from _finding(finding)
        if len(found) > SHOWN_FINDINGS:
            yield Text(f"  and {len(found) - SHOWN_FINDINGS} more, which the report shows")


def _finding(finding: Finding) -> Iterator[RenderableType]:
    modes = ", ".join(finding.modes)
    text = f"{_mark(finding.state)} {shown(finding.what)} in {modes}: {shown(finding.text)}"
    yield Padding(Text.from_markup(text), (0, 0, 0, 2), expand=False)
    if finding.action:
        action = in_words_of_the_doctor(finding.action)
        command = Text(visible(action, 1000), style="cyan", no_wrap=False)
        yield Padding(command, (0, 0, 0, 6), expand=False)


def _mark(state: State) -> str:
    style, glyph = MARKS[state]
    return f"[{style}]{glyph}[/{style}]"
