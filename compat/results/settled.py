"""Which cases earlier runs have settled, so that they need not be run again.

A case is settled when the newest result that rests on the same things is in order: the same
sources, registry entry and revision (`basis`), the same libraries and hardware. A failure is never
settled: a run that goes on is as red as one that began anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compat.outcomes import Outcome, ReasonCode
from compat.results.apart import gpus_of, software_of
from compat.results.merge import moment
from compat.results.record import CaseRecord, EnvRecord, PlannedRecord, Record
from compat.targets.target import CaseId, Device

IN_ORDER = (Outcome.PASSED, Outcome.KNOWN_FAILURE)


def settled_cases(
    records: Iterable[Record], bases: Mapping[str, str], here: EnvRecord
) -> dict[str, CaseRecord]:
    """Case id -> the record that settles it, given by target id what its results rest on here."""
    everything = tuple(records)
    rested_on = {
        (record.run, target): basis
        for record in everything
        if isinstance(record, PlannedRecord)
        for target, basis in record.bases.items()
    }
    environments = {record.id: record for record in everything if isinstance(record, EnvRecord)}
    newest: dict[str, CaseRecord] = {}
    for record in everything:
        if not isinstance(record, CaseRecord):
            continue
        target = record.case.rpartition("/")[0]
        environment = environments.get(record.environment)
        if target not in bases or rested_on.get((record.run, target)) != bases[target]:
            continue
        if environment is None or not _alike(environment, here, CaseId.parse(record.case).device):
            continue
        other = newest.get(record.case)
        if other is None or moment(other.started) < moment(record.started):
            newest[record.case] = record
    return {case: record for case, record in newest.items() if _in_order(record)}


def environments_of(
    cases: Iterable[CaseRecord], records: Iterable[Record]
) -> tuple[EnvRecord, ...]:
    """The environments that the cases were run in."""
    wanted = {case.environment for case in cases}
    found = (record for record in records if isinstance(record, EnvRecord))
    return tuple({record.id: record for record in found if record.id in wanted}.values())


def _in_order(record: CaseRecord) -> bool:
    inapplicable = record.reason is not None and record.reason.code is ReasonCode.NOT_APPLICABLE
    return record.outcome in IN_ORDER or (record.outcome is Outcome.SKIPPED and inapplicable)


def _alike(one: EnvRecord, other: EnvRecord, device: Device) -> bool:
    """Whether a result of one would be that of the other; how many GPUs there are is no matter."""
    if software_of(one) != software_of(other):
        return False
    return device is not Device.GPU or gpus_of(one) == gpus_of(other)
