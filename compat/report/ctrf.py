"""Records as CTRF, the Common Test Report Format: what CI dashboards and bots read.

pytest-json-ctrf writes a single pytest run as pytest saw it. This is written from records, so that
merged runs of many machines, reasons and known failures are in it.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from compat import __version__
from compat.outcomes import Outcome
from compat.results.completeness import missing_jobs
from compat.results.flaky import flaky_cases
from compat.results.merge import crashed_cases, merge, moment, newest_results
from compat.results.record import CaseRecord, EnvRecord, Record
from compat.targets.target import CaseId

SPEC_VERSION = "1.0.0"
Status = Literal["passed", "failed", "skipped", "pending", "other"]

_STATUSES: dict[Outcome, Status] = {
    Outcome.PASSED: "passed",
    Outcome.SKIPPED: "skipped",
    # It failed as somebody said it would: neither a pass nor a fault of this run.
    Outcome.KNOWN_FAILURE: "other",
}
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "compat/case")
"""The name space of the ids: a case has the same for ever."""


class Ctrf(BaseModel):
    """Base of every part: keys in camel case, none that the format does not have."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class Tool(Ctrf):
    """What produced the results."""

    name: str
    version: str


class Summary(Ctrf):
    """Counts by status; `start` and `stop` in milliseconds since 1970."""

    tests: int
    passed: int
    failed: int
    skipped: int
    pending: int
    other: int
    flaky: int
    start: int
    stop: int


class Test(Ctrf):
    """One case; times in milliseconds."""

    id: str
    name: str
    status: Status
    duration: int
    start: int | None = None
    stop: int | None = None
    suite: tuple[str, ...]
    message: str | None = None
    trace: str | None = None
    raw_status: str
    tags: tuple[str, ...]
    labels: dict[str, str]
    flaky: bool = False
    extra: dict[str, Any] | None = None


class Environment(Ctrf):
    """Where it ran: every environment, by id, beside the first one's system."""

    app_name: str = "compat"
    app_version: str = __version__
    os_platform: str | None = None
    extra: dict[str, Any]


class Results(Ctrf):
    """All results."""

    tool: Tool
    summary: Summary
    tests: tuple[Test, ...]
    environment: Environment


class Document(Ctrf):
    """The whole document."""

    report_format: Literal["CTRF"] = "CTRF"
    spec_version: str = SPEC_VERSION
    report_id: str
    timestamp: str
    generated_by: str = f"compat {__version__}"
    results: Results


def ctrf_document(records: Iterable[Record]) -> Document:
    """What is known of every case, and what was planned and never ran as `pending`."""
    merged = merge(records)
    executions = [record for record in merged if isinstance(record, CaseRecord)]
    executions += crashed_cases(merged)
    flaky = flaky_cases(executions)
    known = newest_results(executions)
    tests = [_test(case, name in flaky) for name, case in sorted(known.items())]
    tests += [
        _pending(f"{job.target}/{check}")
        for job in missing_jobs(merged)
        for check in job.checks
        if f"{job.target}/{check}" not in known
    ]
    stop = max((test.stop or 0 for test in tests), default=0)
    start = min((test.start for test in tests if test.start is not None), default=stop)
    counts = Counter(test.status for test in tests)
    newest = max(
        (case.started for case in known.values()), key=moment, default="1970-01-01T00:00:00Z"
    )
    return Document(
        report_id=str(uuid.uuid5(_NAMES, "\n".join(case.execution for case in executions))),
        timestamp=moment(newest).isoformat(),
        results=Results(
            tool=Tool(name="compat", version=__version__),
            summary=Summary(
                tests=len(tests),
                passed=counts["passed"],
                failed=counts["failed"],
                skipped=counts["skipped"],
                pending=counts["pending"],
                other=counts["other"],
                flaky=sum(test.flaky for test in tests),
                start=start,
                stop=stop,
            ),
            tests=tuple(tests),
            environment=_environment(merged),
        ),
    )


def ctrf_json(records: Iterable[Record]) -> str:
    """The document as JSON; what is not known is left out."""
    return ctrf_document(records).model_dump_json(by_alias=True, exclude_none=True)


def _test(case: CaseRecord, is_flaky: bool) -> Test:
    start = int(moment(case.started).timestamp() * 1000) if moment(case.started).year > 1 else None
    duration = round(case.seconds * 1000)
    return Test(
        **_place(case.case, case.area),
        status=_STATUSES.get(case.outcome, "failed"),
        duration=duration,
        start=start,
        stop=None if start is None else start + duration,
        message=_message(case),
        trace=case.failure.trace if case.failure and case.failure.trace else None,
        raw_status=str(case.outcome),
        flaky=is_flaky,
        extra={
            "execution": case.execution,
            "environment": case.environment,
            "revision": case.revision,
            "reproduce": case.reproduce,
            "action": case.reason.action if case.reason else None,
            "blame": case.expectation.blame if case.expectation else None,
            "measures": case.measures,
        },
    )


def _pending(case: str) -> Test:
    return Test(**_place(case, ""), status="pending", duration=0, raw_status="not run")


def _place(case: str, area: str) -> dict[str, Any]:
    """What a case's id says of it."""
    at = CaseId.parse(case)
    labels = {
        "model": at.model,
        "weights": str(at.weights),
        "device": str(at.device),
        "mode": str(at.mode),
        "wrapper": at.wrapper,
        "check": at.check,
    }
    return {
        "id": str(uuid.uuid5(_NAMES, case)),
        "name": case,
        "suite": (
            at.model,
            f"{at.weights} {at.device} {at.mode} {at.wrapper}",
            *filter(None, [area]),
        ),
        "tags": tuple(filter(None, (area, str(at.weights), str(at.device), str(at.mode)))),
        "labels": labels,
    }


def _message(case: CaseRecord) -> str | None:
    if case.failure is not None:
        return f"{case.failure.type}: {case.failure.message}"
    if case.reason is not None:
        return f"{case.reason.code}: {case.reason.text}; {case.reason.action}"
    return case.expectation.reason if case.expectation is not None else None


def _environment(records: Iterable[Record]) -> Environment:
    found = {record.id: record for record in records if isinstance(record, EnvRecord)}
    return Environment(
        os_platform=next((env.os for env in found.values()), None),
        extra={"environments": list(_described(found.values()))},
    )


def _described(environments: Iterable[EnvRecord]) -> Iterator[dict[str, Any]]:
    for environment in environments:
        yield environment.model_dump(
            mode="json", exclude={"schema_version", "run", "worker", "kind"}
        )
