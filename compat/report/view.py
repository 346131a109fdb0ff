"""What the report shows, as frozen values: everything decided, nothing yet written down.

Every text that comes from a model, an exception or a file has been made visible (`visible`) and is
escaped by the writers. Marks name a glyph; a glyph never stands without its word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from compat.report.comparison import ComparisonView
from compat.report.count_view import TallyView, TotalView
from compat.report.drawing_view import DrawingView
from compat.report.environment_view import DisagreementView, EnvironmentView
from compat.report.finding_view import FailureView, SkipView, UntestedView
from compat.report.grid import GridView
from compat.report.memory_view import MemoryView
from compat.report.plot_view import PlotView
from compat.report.section_view import (
    DifferenceView,
    PromptView,
    QualityView,
    SickView,
)
from compat.report.target_view import TargetView
from compat.results.verdict import Word
from compat.targets import Device, Mode, Weights
from compat.targets.plan import Plannable


class DescribedCheck(Plannable, Protocol):
    """What the report wants to know of a check; `compat.checks.registry.Check` is one."""

    @property
    def summary(self) -> str:
        """One line: what it asserts."""


@dataclass(frozen=True)
class ColumnView:
    """A column of the matrix."""

    device: Device
    mode: Mode


def column_of(device: Device, mode: Mode) -> str:
    """A column in words: on a CPU the mode alone."""
    return str(mode) if device is Device.CPU else f"{device} {mode}"


@dataclass(frozen=True)
class CellView:
    """A model in a mode: the strongest evidence, and what else there is."""

    word: Word
    mark: str
    evidence: str
    """`twin`, `hub`, ...; empty where nothing was tested."""
    score: str
    anchor: str
    """Of the target that speaks for this cell; empty where there is none."""
    target: str
    why: str
    others: tuple[OtherView, ...] = ()
    age: str = ""
    """How old the results are that it rests on, in words; empty where there are none."""
    stale: bool = False
    """Whether they are too old to rely on."""
    weights: str = ""
    """Of the target that speaks for this cell, tested or not."""
    outcomes: tuple[str, ...] = ()
    reason_classes: tuple[str, ...] = ()
    gigabytes: float | None = None
    """What it needs at least, in GB; None where that is not known."""
    changed: bool = False
    """Whether it is not what it was in the baseline."""
    environment: str = ""
    """The id of the environment that it speaks of."""
    letter: str = ""
    """That environment's; empty where the page knows one alone."""

    @property
    def letters(self) -> tuple[str, ...]:
        """Every environment in which the target came to the same."""
        agreeing = (other.letter for other in self.others if other.agrees)
        return tuple(sorted(filter(None, (self.letter, *agreeing))))


@dataclass(frozen=True)
class OtherView:
    """Other evidence behind the same cell: of other weights, or from another environment."""

    word: Word
    weights: Weights
    anchor: str
    mark: str
    outcomes: tuple[str, ...]
    reason_classes: tuple[str, ...]
    changed: bool
    score: str
    why: str
    environment: str
    letter: str
    """Of its environment; empty where the page knows one alone."""
    agrees: bool
    """Whether it is the cell's own target, elsewhere, with no check that ended otherwise."""


@dataclass(frozen=True)
class FactsView:
    """What the registry says of a model, for reading; empty where the model is not in it."""

    size: str = ""
    layers: str = ""
    hidden: str = ""
    block: str = ""
    line: str = ""
    """All the rest in one line."""
    notes: tuple[str, ...] = ()
    model_class: str = ""
    line_number: int = 0
    """In models.yaml."""
    path: str = ""
    """Of the blocks."""
    confidence: str = ""
    learned: str = ""
    """Of a pair, from its records: what training each adapter did."""


@dataclass(frozen=True)
class ModelView:
    """A row of the matrix and the targets behind it."""

    id: str
    name: str
    organisation: str
    wrapper: str
    family: str
    anchor: str
    find: str
    """Words that the filter finds it by beside what its row shows."""
    facts: FactsView
    structure: CellView
    cells: tuple[CellView, ...]
    word: Word
    mark: str
    evidence: str
    """The kind of weights that the verdict rests on; empty where nothing was tested."""
    targets: tuple[TargetView, ...]
    grid: GridView
    drawing: DrawingView | None


@dataclass(frozen=True)
class FamilyView:
    """Models of a family, in the registry's order."""

    name: str
    models: tuple[ModelView, ...]


@dataclass(frozen=True)
class EndView:
    """One model of a pair: what has to fit. Empty where it is not known."""

    size: str
    hidden: str
    vocabulary: str
    tokens: str
    """Its special tokens, as the tokenizer that was loaded has them."""
    template: str
    """Whether that tokenizer has a chat template."""


@dataclass(frozen=True)
class PairView:
    """A pair: its row, both its models, and how it went."""

    row: ModelView
    source: EndView
    target: EndView
    why: str
    """The verdict's sentence, of the first mode that it is the verdict of."""
    learned: str
    """What training each adapter did to the loss; empty where none was trained."""


@dataclass(frozen=True)
class FigureTable:
    """One measure, models by modes; an empty text where it was not taken."""

    title: str
    unit: str
    weights: Weights
    columns: tuple[ColumnView, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    """Model, anchor, values."""


@dataclass(frozen=True)
class RunView:
    """A run, and how far it came."""

    id: str
    started: str
    took: str
    selection: str
    command: str
    suite: str
    planned: int
    done: int
    interrupted: tuple[str, ...]
    """Case ids that were under way when it was stopped."""

    @property
    def missing(self) -> int:
        """Planned cases without a result."""
        return self.planned - self.done


@dataclass(frozen=True)
class GlossaryView:
    """A check and what it asserts."""

    area: str
    checks: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReportView:
    """The whole report."""

    runs: tuple[RunView, ...]
    environments: tuple[EnvironmentView, ...]
    columns: tuple[ColumnView, ...]
    families: tuple[FamilyView, ...]
    pairs: tuple[PairView, ...]
    failures: tuple[FailureView, ...]
    known_failures: tuple[FailureView, ...]
    skips: tuple[SkipView, ...]
    untested: tuple[UntestedView, ...]
    figures: tuple[FigureTable, ...]
    glossary: tuple[GlossaryView, ...]
    problems: tuple[str, ...]
    gaps: tuple[str, ...] = ()
    """Runs that have not ended and planned jobs without a result, a sentence each."""
    disagreements: tuple[DisagreementView, ...] = ()
    tallies: tuple[TallyView, ...] = ()
    totals: tuple[tuple[TotalView, ...], ...] = ()
    """Of each column, by kind of weights."""
    plots: tuple[PlotView, ...] = ()
    timed_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kind of weights -> the letters of the environments that its figures and plots are from."""
    prompts: tuple[PromptView, ...] = ()
    quality: tuple[QualityView, ...] = ()
    differences: tuple[DifferenceView, ...] = ()
    """Facts of the environments, side by side."""
    download: bytes = b""
    """Every result shown, as gzipped JSON."""
    changes: ComparisonView | None = None
    """Since the baseline."""
    sick: SickView | None = None
    memory: MemoryView | None = None
    """What fits where, and what was predicted beside what was measured."""

    @property
    def models(self) -> tuple[ModelView, ...]:
        """Every row, in the order of the matrix."""
        return tuple(model for family in self.families for model in family.models)
