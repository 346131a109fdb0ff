"""Records and registry -> the view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from compat.registry.spec import Registry
from compat.report.evidence import TargetEvidence, areas_of, gather
from compat.report.figures import figures_of
from compat.report.findings import (
    failures_of,
    known_failures_of,
    skips_of,
    untested_of,
)
from compat.report.marks import case_word, verdict_mark
from compat.report.pairs import pairs_of
from compat.report.rows import columns_of, families_of, rows_of
from compat.report.text import duration, visible
from compat.report.view import (
    CountView,
    DescribedCheck,
    DisagreementView,
    EnvironmentView,
    GlossaryView,
    ReportView,
    RunView,
)
from compat.results.apart import disagreements
from compat.results.completeness import missing_jobs, unfinished_runs
from compat.results.freshness import Freshness
from compat.results.merge import conflicts, crashed_cases, interrupted_starts, merge, moment
from compat.results.read import Problem
from compat.results.record import (
    CaseRecord,
    EnvRecord,
    JobEndRecord,
    PlannedRecord,
    Record,
    RunRecord,
)
from compat.results.verdict import Word
from compat.targets import Kind, Weights


def build_view(
    records: Iterable[Record],
    registry: Registry,
    *,
    checks: Collection[DescribedCheck] = (),
    problems: Iterable[Problem] = (),
    freshness: Freshness | None = None,
) -> ReportView:
    """All that the report shows.

    `checks` is the catalogue: verdicts are over all that it offers a target, so that they never
    rest on what a `-k` selected, and its order and summaries are shown. Without it a target is held
    against what was planned. `freshness` says by which clock results age; by default as the newest
    of them sees it.
    """
    given = tuple(records)
    merged = merge(given)
    freshness = freshness or Freshness.of(merged)
    areas = areas_of(checks, merged)
    targets = gather(merged, registry, areas, checks, freshness)
    columns = columns_of(targets)
    rows = rows_of(targets, registry, columns, areas)
    models = tuple(row for (id_, _), row in rows.items() if Kind.of(id_) is Kind.MODEL)
    return ReportView(
        runs=_runs(merged),
        environments=_environments(merged, targets),
        columns=columns,
        families=families_of(models),
        pairs=pairs_of(rows, registry, {target.id: target for target in targets}),
        model_counts=_verdict_counts(model.word for model in models),
        target_counts=_verdict_counts(
            target.verdict.word
            for target in targets
            if target.coordinates.weights is not Weights.CONFIG
        ),
        case_counts=_case_counts(targets),
        failures=failures_of(targets, rows),
        known_failures=known_failures_of(targets, rows),
        skips=skips_of(targets),
        untested=untested_of(models),
        figures=figures_of(models, columns, {target.id: target for target in targets}),
        glossary=_glossary(checks),
        problems=tuple(visible(text, 400) for text in (*map(str, problems), *_conflicts(given))),
        gaps=tuple(visible(text, 400) for text in gaps_of(merged)),
        disagreements=tuple(_disagreements(merged)),
    )


def _conflicts(records: Iterable[Record]) -> Iterator[str]:
    for execution in conflicts(records):
        yield f"{execution}: several different results claim to be this one; one of them counts"


def gaps_of(records: Sequence[Record]) -> Iterator[str]:
    """What is missing from the records of some runs, a sentence each."""
    yield from map(str, unfinished_runs(records))
    yield from map(str, missing_jobs(records))


def _disagreements(records: Iterable[Record]) -> Iterator[DisagreementView]:
    for found in disagreements(record for record in records if isinstance(record, CaseRecord)):
        target, _, check = found.case.rpartition("/")
        ends = tuple((visible(case.environment, 40), *case_word(case)) for case in found.ends)
        yield DisagreementView(visible(target), visible(check, 120), ends)


def _verdict_counts(words: Iterable[Word]) -> tuple[CountView, ...]:
    counts = Counter(words)
    return tuple(CountView(verdict_mark(word), str(word), counts[word]) for word in Word)


def _case_counts(targets: Iterable[TargetEvidence]) -> tuple[CountView, ...]:
    counts = Counter(case_word(case) for target in targets for case in target.cases.values())
    missing = sum(len(target.missing) for target in targets)
    views = [CountView(mark, word, count) for (word, mark), count in counts.most_common()]
    return (*views, CountView("not-tested", "not run", missing)) if missing else tuple(views)


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


def _environments(
    records: Iterable[Record], targets: Iterable[TargetEvidence]
) -> tuple[EnvironmentView, ...]:
    """Environments, the one with most of the shown results first."""
    counts = Counter(case.environment for target in targets for case in target.cases.values())
    known = {record.id: record for record in records if isinstance(record, EnvRecord)}
    return tuple(
        EnvironmentView(
            id=visible(environment, 40),
            line=visible(_line(known[environment])),
            packages=tuple(
                (visible(name, 60), visible(version, 60))
                for name, version in known[environment].packages.items()
            ),
            cases=counts[environment],
        )
        for environment in sorted(known, key=lambda one: (-counts[one], one))
    )


def _line(env: EnvRecord) -> str:
    flags = f" ({', '.join(env.cpu_flags)})" if env.cpu_flags else ""
    gpus = ", ".join(f"{gpu.name} {gpu.memory_gb:g} GB" for gpu in env.gpus) or "no GPU"
    cuda = f"CUDA {env.cuda}" if env.cuda else "torch without CUDA"
    return (
        f"{env.cpu}{flags}, {env.cores} cores, {env.memory_gb:.3g} GB · {gpus} · {cuda} · "
        f"{env.os} · Python {env.python}"
    )


def _glossary(checks: Iterable[DescribedCheck]) -> tuple[GlossaryView, ...]:
    areas: dict[str, list[tuple[str, str]]] = {}
    for check in checks:
        areas.setdefault(visible(check.area), []).append(
            (visible(check.name), visible(check.summary))
        )
    return tuple(GlossaryView(area, tuple(items)) for area, items in areas.items())
