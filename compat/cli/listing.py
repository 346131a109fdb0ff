"""`compat list`: the cases of a selection, and what keeps some of them from running here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compat.checks.registry import Check, load_catalogue
from compat.loading.requirements import require
from compat.outcomes import CannotRun, Reason
from compat.plugin.marks import keyword_predicate, mark_predicate
from compat.registry.load import default_registry_path, load_registry
from compat.registry.pair import entries_of
from compat.registry.spec import Registry
from compat.targets import Device, Kind, Mode, Weights
from compat.targets.devices import Host, this_host
from compat.targets.plan import PlannedTarget, plan_cases
from compat.targets.selection import Request, Selection, narrow, parse_names
from compat.targets.target import BARE

TEST = "test_check"
WIDE = 200


@dataclass(frozen=True)
class Asked:
    """The options of `compat list`."""

    mark: str = ""
    keyword: str = ""
    models: tuple[str, ...] = ()
    families: str = ""
    weights: str = ""
    modes: str = ""
    wrappers: str = BARE

    def request(self) -> Request:
        """The same as the plan has it. Raises SelectionError."""
        return Request(
            weights=parse_names(Weights, self.weights, "--weights") if self.weights else None,
            modes=parse_names(Mode, self.modes, "--modes") if self.modes else None,
            wrappers=tuple(_names(self.wrappers)),
            models=self.models,
            families=tuple(_names(self.families)),
        )


@dataclass
class Row:
    """The targets of one model with one kind of weights on one device."""

    family: str
    modes: dict[Mode, int] = field(default_factory=dict)
    """Mode -> number of its cases."""
    blocked: set[str] = field(default_factory=set)


def show_list(asked: Asked, registry_file: Path | None) -> None:
    """Print the table. Raises RegistryError or SelectionError."""
    host = this_host()
    counts = count_cases(asked, registry_file, host)
    rows: dict[tuple[str, Weights, Device], Row] = {}
    reasons: Counter[Reason] = Counter()
    for planned, count in counts.items():
        target = planned.target
        key = (target.slug, target.weights, target.device)
        row = rows.setdefault(key, Row(planned.spec.family))
        row.modes[target.mode] = count
        reason = what_blocks(planned, host)
        if reason is not None:
            reasons[reason] += count
            row.blocked.add(reason.text)
    console = wide_console()
    if rows:
        console.print(_table(rows))
    things = Counter(Kind.of(model) for model in {planned.target.model for planned in counts})
    counted = " and ".join(f"{things[kind]} {kind}s" for kind in Kind if things[kind])
    console.print(
        f"{sum(counts.values())} cases on {len(counts)} targets of {counted or 'no models'}"
    )
    for reason, count in reasons.most_common():
        console.print(
            f"blocked here: {count} cases: {escape(reason.text)}; {escape(reason.action)}"
        )


def count_cases(asked: Asked, registry_file: Path | None, host: Host) -> dict[PlannedTarget, int]:
    """The targets of a selection with the number of their cases, in plan order."""
    registry = load_registry(registry_file or default_registry_path())
    present = frozenset(Device) if host.gpu_usable else frozenset({Device.CPU})
    return Counter(planned for planned, _ in cases_of(asked, registry, present))


def cases_of(
    asked: Asked, registry: Registry, present: frozenset[Device]
) -> Iterator[tuple[PlannedTarget, Check]]:
    """The cases of a selection where these devices are there, in plan order."""
    request = asked.request()
    narrowed = request.models or request.families
    selection = Selection(
        request=request,
        present=present,
        expression=mark_predicate(asked.mark, frozenset()) if asked.mark else None,
        models=frozenset(spec.id for spec in narrow(registry, request)) if narrowed else None,
    )
    keeps = keyword_predicate(asked.keyword) if asked.keyword else None
    for planned, check in plan_cases(
        selection.targets(entries_of(registry)),
        tuple(load_catalogue()),
        lambda planned, check: selection.reaches(planned, check.area),
    ):
        name = f"{TEST}[{planned.case(check).node_part}]"
        if keeps is None or keeps((name, *planned.marks, check.area)):
            yield planned, check


def _names(text: str) -> Iterator[str]:
    return (name.strip() for name in text.split(",") if name.strip())


def what_blocks(planned: PlannedTarget, host: Host) -> Reason | None:
    """Why a target would be skipped here, as far as that is known without loading anything."""
    try:
        for target, spec in planned.parts:
            require(target, spec, host)
            if target.weights is Weights.TWIN and not spec.native:
                from compat.weights.twin import twin_checkpoint

                twin_checkpoint(spec)  # there is none, and it says why
            if target.weights is Weights.HUB:
                from compat.weights.hub import Hub, Wanted

                Hub().snapshot(Wanted.of(spec))
    except CannotRun as cannot:
        return cannot.reason
    return None


def wide_console() -> Console:
    """A console that folds lines at a terminal's edge, and leaves them whole in a file."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)


def _table(rows: dict[tuple[str, Weights, Device], Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("model", "family", "weights", "device"):
        table.add_column(title, no_wrap=True)
    table.add_column("modes")
    table.add_column("cases", justify="right")
    table.add_column("blocked here")
    for (slug, weights, device), row in rows.items():
        blocked = escape("; ".join(sorted(row.blocked)))
        cases = str(sum(row.modes.values()))
        table.add_row(slug, row.family, weights, device, " ".join(row.modes), cases, blocked)
    return table
