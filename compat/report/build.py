"""Records and registry -> the view."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from compat.fit.table import FitTable
from compat.registry.spec import Registry
from compat.report.comparable import comparable, environments_among
from compat.report.comparison import ComparisonView
from compat.report.counts import tallies_of, totals_of
from compat.report.download import download_of
from compat.report.environments import (
    differences_of,
    disagreements_of,
    environments_of,
    letters_of,
)
from compat.report.evidence import areas_of, gather
from compat.report.facts import needs_of
from compat.report.figures import figures_of
from compat.report.findings import (
    failures_of,
    known_failures_of,
    skips_of,
    untested_of,
)
from compat.report.memory import memory_of
from compat.report.pairs import pairs_of
from compat.report.quality import quality_of
from compat.report.rows import Beside, columns_of, families_of, rows_of
from compat.report.samples import prompts_of
from compat.report.section_view import SickView
from compat.report.speed import plots_of
from compat.report.text import duration, visible
from compat.report.view import (
    DescribedCheck,
    GlossaryView,
    ReportView,
    RunView,
)
from compat.results.completeness import missing_jobs, unfinished_runs
from compat.results.freshness import Freshness
from compat.results.merge import conflicts, crashed_cases, interrupted_starts, merge, moment
from compat.results.read import Problem
from compat.results.record import (
    CaseRecord,
    JobEndRecord,
    PlannedRecord,
    Record,
    RunRecord,
)
from compat.targets import Kind, Weights


def build_view(
    records: Iterable[Record],
    registry: Registry,
    *,
    checks: Collection[DescribedCheck] = (),
    problems: Iterable[Problem] = (),
    freshness: Freshness | None = None,
    changes: ComparisonView | None = None,
    sick: SickView | None = None,
    fit: FitTable | None = None,
) -> ReportView:
    """All that the report shows.

    `checks` is the catalogue: verdicts are over all that it offers a target, so that they never
    rest on what a `-k` selected, and its order and summaries are shown. Without it a target is held
    against what was planned. `freshness` says by which clock results age; by default as the newest
    of them sees it. `changes` since a baseline, `sick` models and what `fit` says of every model at
    full size have sections of their own.
    """
    given = tuple(records)
    merged = merge(given)
    freshness = freshness or Freshness.of(merged)
    areas = areas_of(checks, merged)
    targets = gather(merged, registry, areas, checks, freshness)
    columns = columns_of(targets)
    environments = environments_of(merged, targets)
    letters = letters_of(environments)
    beside = Beside(changes.targets if changes else (), needs_of(fit), letters)
    rows = rows_of(targets, registry, columns, areas, beside)
    models = tuple(row for (id_, _), row in rows.items() if Kind.of(id_) is Kind.MODEL)
    timed = comparable(targets)
    return ReportView(
        runs=_runs(merged),
        environments=environments,
        columns=columns,
        families=families_of(models),
        pairs=pairs_of(rows, registry, {target.id: target for target in targets}),
        failures=failures_of(targets, rows),
        known_failures=known_failures_of(targets, rows),
        skips=skips_of(targets),
        untested=untested_of(models),
        figures=figures_of(models, columns, timed),
        glossary=_glossary(checks),
        problems=tuple(visible(text, 400) for text in (*map(str, problems), *_conflicts(given))),
        gaps=tuple(visible(text, 400) for text in gaps_of(merged)),
        disagreements=disagreements_of(merged, targets, letters),
        tallies=tuple(tallies_of(models, targets)),
        totals=totals_of([model for model in models if not model.wrapper], len(columns)),
        plots=plots_of(timed, columns),
        timed_in={
            str(weights): tuple(filter(None, map(letters.get, environments_among(timed, weights))))
            for weights in Weights
        },
        prompts=prompts_of(targets, rows),
        quality=quality_of(targets, rows),
        differences=differences_of(environments),
        download=download_of(targets),
        changes=changes,
        sick=sick,
        memory=memory_of(targets, models, fit),
    )


def _conflicts(records: Iterable[Record]) -> Iterator[str]:
    for execution in conflicts(records):
        yield f"{execution}: several different results claim to be this one; one of them counts"


def gaps_of(records: Sequence[Record]) -> Iterator[str]:
    """What is missing from the records of some runs, a sentence each."""
    yield from map(str, unfinished_runs(records))
    yield from map(str, missing_jobs(records))


def _runs(records: Sequence[Record]) -> tuple[RunView, ...]:
    """Every run that left a record, the newest first."""
    ids = dict.fromkeys(record.run for record in records)
    views = [_run(run, [record for record in records if record.run == run]) for run in ids]
    return tuple(sorted(views, key=lambda view: (moment(view.started), view.id), reverse=True))


def _run(run: str, records: Sequence[Record]) -> RunView:
    begun = [record for record in records if isinstance(record, RunRecord)]
    ends = [moment(record.finished) for record in records if isinstance(record, JobEndRecord)]
    cases = [record for record in records if isinstance(record, CaseRecord)]
    planned = {
        f"{target}/{check}"
        for record in records
        if isinstance(record, PlannedRecord)
        for target, checks in record.cases.items()
        for check in checks
    }
    done = {case.case for case in (*cases, *crashed_cases(records))}
    started = begun[0].started if begun else min((case.started for case in cases), default="")
    took = (max(ends) - moment(started)).total_seconds() if ends and begun else 0.0
    return RunView(
        id=visible(run, 80),
        started=visible(started, 40),
        took=duration(took) if took > 0 else "",
        selection=visible(begun[0].selection, 400) if begun else "",
        command=visible(" ".join(begun[0].command), 400) if begun else "",
        suite=visible(begun[0].suite, 40) if begun else "",
        planned=len(planned | done),
        done=len(done),
        interrupted=tuple(visible(start.case, 200) for start in interrupted_starts(records)),
    )


def _glossary(checks: Iterable[DescribedCheck]) -> tuple[GlossaryView, ...]:
    areas: dict[str, list[tuple[str, str]]] = {}
    for check in checks:
        areas.setdefault(visible(check.area), []).append(
            (visible(check.name), visible(check.summary))
        )
    return tuple(GlossaryView(area, tuple(items)) for area, items in areas.items())
