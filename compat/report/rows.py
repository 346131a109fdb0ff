"""The matrix: models by family, a cell for each mode."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from compat.registry.pair import Entry, entries_of
from compat.registry.spec import ARROW, ModelSpec, Registry
from compat.report.drawing import drawing_of
from compat.report.elsewhere import differing_checks, open_everywhere
from compat.report.evidence import TargetEvidence, anchor_part
from compat.report.facts import facts_of, least_gigabytes
from compat.report.grid import grid_of
from compat.report.marks import verdict_mark
from compat.report.targets import ends_of, score_of
from compat.report.text import visible
from compat.report.view import (
    CellView,
    ColumnView,
    FactsView,
    FamilyView,
    ModelView,
    OtherView,
)
from compat.results.verdict import Word, judge_model, leading
from compat.targets import CPU_MODES, Device, Kind, Mode, Weights
from compat.targets.target import BARE

OUTSIDE = "outside the registry"

_MODES = tuple(Mode)
_DEVICES = tuple(Device)


def columns_of(targets: Iterable[TargetEvidence]) -> tuple[ColumnView, ...]:
    """The CPU modes always, and every other mode that a target was planned in."""
    found = {(Device.CPU, mode) for mode in CPU_MODES} | {
        (target.coordinates.device, target.coordinates.mode)
        for target in targets
        if target.coordinates.weights is not Weights.CONFIG
    }
    ordered = sorted(found, key=lambda at: (_DEVICES.index(at[0]), _MODES.index(at[1])))
    return tuple(ColumnView(device, mode) for device, mode in ordered)


@dataclass(frozen=True)
class Beside:
    """What cells show that their records do not say."""

    changed: Collection[str] = ()
    """Ids of the targets that are not what they were in the baseline."""
    needs: Mapping[tuple[str, Device, Mode], float] = field(default_factory=dict)
    """What has to be free for a model in a mode, in GB, where that was predicted."""
    letters: Mapping[str, str] = field(default_factory=dict)
    """Environment id -> the letter that cells call it by."""


def rows_of(
    targets: Iterable[TargetEvidence],
    registry: Registry,
    columns: Sequence[ColumnView],
    areas: Mapping[str, str],
    beside: Beside,
) -> dict[tuple[str, str], ModelView]:
    """Rows by model and wrapper: the registry's in its order, then those only records know.

    Pairs have rows like models, in a table of their own.
    """
    found: dict[tuple[str, str], list[TargetEvidence]] = {}
    for target in targets:
        at = target.coordinates
        found.setdefault((at.model, at.wrapper), []).append(target)
    specs = {entry.id: entry for entry in entries_of(registry)}
    wrapped: dict[str, list[str]] = {}
    for model, wrapper in sorted(found):
        wrapped.setdefault(model, []).append(wrapper)
    keys = [
        (model, wrapper)
        for model in dict.fromkeys([*specs, *wrapped])
        for wrapper in dict.fromkeys([BARE, *wrapped.get(model, ())])
        if wrapper != BARE or model in specs or (model, BARE) in found
    ]
    return {
        (model, wrapper): _model(
            model,
            wrapper,
            specs.get(model),
            found.get((model, wrapper), []),
            [*found.get((model, wrapper), []), *found.get((model, BARE), [])],
            columns,
            areas,
            beside,
        )
        for model, wrapper in keys
    }


def families_of(models: Iterable[ModelView]) -> tuple[FamilyView, ...]:
    """Rows by family, in the order of each family's first model."""
    families: dict[str, list[ModelView]] = {}
    for model in models:
        families.setdefault(model.family, []).append(model)
    return tuple(FamilyView(name, tuple(rows)) for name, rows in families.items())


def _model(
    model: str,
    wrapper: str,
    spec: Entry | None,
    targets: Sequence[TargetEvidence],
    with_bare: Sequence[TargetEvidence],
    columns: Sequence[ColumnView],
    areas: Mapping[str, str],
    beside: Beside,
) -> ModelView:
    """A row; `with_bare`, for a wrapper changes nothing of the facts that the bare model has."""
    organisation, name = _names(model)
    suffix = "" if wrapper == BARE else f"-{anchor_part(wrapper, None)}"
    tested = [target for target in targets if target.coordinates.weights is not Weights.CONFIG]
    config = [target for target in with_bare if target.coordinates.weights is Weights.CONFIG]
    cells = tuple(_cell(tested, column, spec, beside) for column in columns)
    leads = [
        lead
        for column in columns
        if (lead := leading(target.verdict for target in _at(tested, column))) is not None
    ]
    # What a checkpoint shows in one mode and a twin in another is no verdict on either.
    strongest = leading(leads)
    word = judge_model([lead for lead in leads if strongest and lead.weights is strongest.weights])
    opened = tuple(open_everywhere(target, areas, beside.letters) for target in targets)
    return ModelView(
        id=visible(model, 200),
        name=visible(name, 120),
        organisation=visible(organisation, 120),
        wrapper="" if wrapper == BARE else visible(wrapper, 80),
        family=spec.family if spec else OUTSIDE,
        anchor=f"m-{anchor_part(model, spec)}{suffix}",
        find=_find(model, spec),
        facts=facts_of(spec) if spec else FactsView(),
        structure=_pick(config, "not checked", beside),
        cells=cells,
        word=word,
        mark=verdict_mark(word),
        evidence=str(strongest.weights) if strongest and word.is_tested else "",
        targets=opened,
        grid=grid_of(opened, areas),
        drawing=(
            drawing_of(spec, targets, strongest.target if strongest else "")
            if isinstance(spec, ModelSpec)
            else None
        ),
    )


def _names(model: str) -> tuple[str, str]:
    """Organisation and name; of a pair no organisation, and the names of both models."""
    if Kind.of(model) is Kind.PAIR:
        return "", " → ".join(end.rpartition("/")[2] for end in model.split(ARROW))
    organisation, _, name = model.rpartition("/")
    return organisation, name


def _find(model: str, entry: Entry | None) -> str:
    words = [model]
    for spec in entry.models if entry else ():
        words += [*spec.aliases, spec.family, spec.model_class]
    return visible(" ".join(dict.fromkeys(words)).lower(), 400)


def _at(targets: Iterable[TargetEvidence], column: ColumnView) -> list[TargetEvidence]:
    return [
        target
        for target in targets
        if (target.coordinates.device, target.coordinates.mode) == (column.device, column.mode)
    ]


def _cell(
    targets: Iterable[TargetEvidence],
    column: ColumnView,
    entry: Entry | None,
    beside: Beside,
) -> CellView:
    models = entry.models if entry else ()
    if any(spec.modes is not None and column.mode not in spec.modes for spec in models):
        why = "The registry does not test this model in this mode."
    else:
        why = "No run so far has tested this."
    cell = _pick(_at(targets, column), why, beside)
    predicted = beside.needs.get((entry.id if entry else "", column.device, column.mode))
    least = least_gigabytes(entry, column.mode)
    return replace(cell, gigabytes=least if predicted is None else predicted)


def _pick(targets: Sequence[TargetEvidence], otherwise: str, beside: Beside) -> CellView:
    lead = leading(target.verdict for target in targets)
    if lead is None:
        mark = verdict_mark(Word.NOT_TESTED)
        return CellView(Word.NOT_TESTED, mark, "", "", "", "", otherwise)
    leader = next(target for target in targets if target.id == lead.target)
    outcomes, reason_classes = ends_of(leader.cases.values())
    others = [
        one
        for target in sorted(targets, key=lambda target: target is not leader)
        for one in (target, *target.elsewhere)
        if one is not leader
    ]
    return CellView(
        word=lead.word,
        mark=verdict_mark(lead.word),
        evidence=str(lead.weights) if lead.word.is_tested else "",
        weights=str(lead.weights),
        score=score_of(lead),
        anchor=leader.anchor,
        target=lead.target,
        why=visible(lead.why, 400),
        others=tuple(_other(one, leader, beside) for one in others),
        age="" if leader.age is None else str(leader.age),
        stale=leader.age is not None and leader.age.stale,
        outcomes=outcomes,
        reason_classes=reason_classes,
        changed=leader.id in beside.changed,
        environment=visible(leader.environment, 40),
        letter=beside.letters.get(leader.environment, ""),
    )


def _other(one: TargetEvidence, leader: TargetEvidence, beside: Beside) -> OtherView:
    outcomes, reason_classes = ends_of(one.cases.values())
    return OtherView(
        word=one.verdict.word,
        weights=one.coordinates.weights,
        anchor=one.anchor,
        mark=verdict_mark(one.verdict.word),
        outcomes=outcomes,
        reason_classes=reason_classes,
        changed=one.id in beside.changed,
        score=score_of(one.verdict),
        why=visible(one.verdict.why, 400),
        environment=visible(one.environment, 40),
        letter=beside.letters.get(one.environment, ""),
        agrees=one.id == leader.id
        and one.verdict.word is leader.verdict.word
        and not differing_checks(leader, one),
    )
