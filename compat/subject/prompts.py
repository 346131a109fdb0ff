"""The prompts that calibration reads."""

from __future__ import annotations

CALIBRATION = (
    "The rain fell softly on the empty road",
    "A farmer mends the fence before winter",
    "My sister plays the violin every night",
    "Old ships rest in the harbour at dawn",
    "Nobody heard the small dog in the yard",
    "Children build a castle out of wet sand",
    "The baker opens her shop before sunrise",
    "Snow covers the hills behind our house",
    "He wrote a long letter to his teacher",
    "We walked along the river after dinner",
)
"""Ten prompts of about one length that say different things."""

SENTENCES = tuple(
    f"The {animal} sleeps in the warm {place} at night"
    for animal in ("cat", "dog", "hen", "cow", "pig", "fox", "owl", "bee", "ant", "rat")
    for place in ("house", "barn")
)
ENTRIES = tuple(
    f"DATE: 2024-{month:02d}-0{n}; TIME: 1{n}:45; COUNT: {n}"
    for n in range(10)
    for month in (1, 12)
)
"""With `SENTENCES`, two sets of twenty that nobody can mistake for one another: what keeps a probe
from telling them apart is the capture, not the model."""
