"""What a check writes down beside its outcome."""

from __future__ import annotations

from compat.results.record import Measures


class Notes:
    """Measures and a sample of the current check; the recorder takes and clears them."""

    def __init__(self) -> None:
        self._measures: Measures = {}
        self._sample: str | None = None

    def measure(self, name: str, value: float | int | str | bool | list[float] | None) -> None:
        """Record a figure. The name ends in its unit: `_seconds`, `_bytes`, `_nats`."""
        self._measures[name] = value

    def sample(self, text: str) -> None:
        """Record model output, for a reader to look at. It is untrusted and shown escaped."""
        self._sample = text

    def take_measures(self) -> Measures:
        """The measures since the last call."""
        taken, self._measures = self._measures, {}
        return taken

    def take_sample(self) -> str | None:
        """The sample since the last call."""
        taken, self._sample = self._sample, None
        return taken
