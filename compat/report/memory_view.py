"""What the section on memory shows, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FitCellView:
    """A model in a mode, on the machine that was asked about."""

    needs: str
    """What has to be free; empty where the model has no such mode."""
    fits: bool
    batches: str
    """The largest batch that is read, and the largest with a backward."""
    title: str
    """Weights, cache and peaks, for whoever wants to know."""


@dataclass(frozen=True)
class FitRowView:
    """A model at full size."""

    name: str
    anchor: str
    """Of its row in the matrix; empty where it has none."""
    cells: tuple[FitCellView, ...]


@dataclass(frozen=True)
class FitView:
    """The table of what fits."""

    against: str
    """The memory that it is held against, and what is read."""
    modes: tuple[str, ...]
    rows: tuple[FitRowView, ...]
    pairs: tuple[tuple[str, ...], ...]
    """Source, target, mode, adapter, batch, accumulation, what has to be free."""
    unpredicted: tuple[tuple[str, str], ...]
    """Model and why."""


@dataclass(frozen=True)
class ErrorView:
    """Predicted beside measured: one quantity in one mode, over all targets that have both."""

    weights: str
    device: str
    mode: str
    quantity: str
    targets: int
    exact: int
    """How many were met to the byte."""
    worst: str
    """The largest error, with its sign: measured over predicted; `none` where all were met."""
    model: str
    """Whose that is; empty, as are the figures, where there is none."""
    predicted: str
    measured: str


@dataclass(frozen=True)
class MemoryView:
    """The whole section."""

    fit: FitView | None
    errors: tuple[ErrorView, ...]

    @property
    def sentence(self) -> str:
        """How predictions were met."""
        compared = sum(row.targets for row in self.errors)
        exact = sum(row.exact for row in self.errors)
        return f"{exact:,} of {compared:,} predictions were met to the byte"
