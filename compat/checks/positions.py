"""Positions: what attention makes of the distance between two tokens is what was announced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from torch import Tensor

    from compat.subject import Subject
    from compat.subject.positions import Repeated

READ_UP_TO = 4.0
"""Nats. A token that is given less is given too little to read a slope from in half precision."""

ROUNDED = 0.1
"""Nats that rounding to half precision adds to a score of up to 25, or takes from it.

Where activations are rounded, heads whose bias comes to less than ten times that over the repeated
token are not judged.
"""


@check(Area.ATTENTION, needs={"attention", "rotary"})
def rotary_turns_as_announced(subject: Subject) -> None:
    """Queries and keys turn by the angles that the config announces; scores know distance alone."""
    from compat.outcomes import NotApplicable
    from compat.subject.positions import beyond_distance, compared, turns_nothing

    found = [one for one in compared(subject) if not turns_nothing(subject.model, one.block)]
    if not found:
        raise NotApplicable("no attention can be looked into whose tokens differ by position alone")
    for repeated in found:
        _require_turning(subject, repeated)
        share = beyond_distance(repeated)
        assert share <= subject.tolerance, (
            f"block {repeated.block}: scores of tokens equally far apart differ by {share:.1e} "
            "of their range: they depend on more than distance"
        )
    subject.measure("rotary_blocks", len(found))


def _require_turning(subject: Subject, repeated: Repeated) -> None:
    import torch

    from compat.subject.positions import LENGTH, announced_frequencies, told_apart, turning

    announced = announced_frequencies(subject.model, repeated.block, LENGTH)
    frequencies = torch.cat([announced, torch.zeros(1).double()])
    for name, series in (("queries", repeated.queries), ("keys", repeated.keys)):
        which, left_over = turning(series, frequencies)
        worst = float(left_over.max())
        assert worst <= subject.tolerance, (
            f"block {repeated.block}: {name} turn by other angles than the config announces: "
            f"those leave {worst:.1e} of a number unexplained"
        )
        for plane in told_apart(frequencies, subject.tolerance):
            numbers = (which == plane).sum(-1)
            turned = f"block {repeated.block}: {name}: by {float(frequencies[plane]):.4f} a token"
            expected = 2 if plane < len(announced) else series.shape[-1] - 2 * len(announced)
            assert bool((numbers == expected).all()), (
                f"{turned} turn {numbers.tolist()} numbers of the heads, not {expected}"
            )


@check(Area.ATTENTION, needs={"attention", "decoder-only", "linear-bias"})
def linear_bias_has_its_slopes(subject: Subject) -> None:
    """Attention falls off evenly with distance, each head by its published slope."""
    from compat.outcomes import NotApplicable
    from compat.subject.positions import LENGTH, distance_biases, published_slopes

    biases = distance_biases(subject)
    if not biases:
        raise NotApplicable("no attention can be looked into whose tokens differ by position alone")
    for block, bias in biases.items():
        slopes, bends = _slopes(bias)
        bound, rounding = (subject.tolerance, ROUNDED) if subject.rounds_activations else (1e-3, 0)
        expected = published_slopes(len(slopes))
        told = [head for head, slope in enumerate(expected) if slope * LENGTH > 10 * rounding]
        bent = [head for head in told if not bends[head] <= 0.05 + rounding]
        assert not bent, f"block {block}: heads {bent} do not fall off evenly with distance"
        other = [head for head in told if not abs(slopes[head] / expected[head] - 1) <= bound]
        assert not other, (
            f"block {block}: heads {other} fall off by {slopes[other].tolist()} nats a token, "
            f"not by {expected[other].tolist()}"
        )
    subject.measure("slopes", slopes.tolist())


def _slopes(bias: Tensor) -> tuple[Tensor, Tensor]:
    """The slope of each head in nats a token, and how far it bends, in nats: (heads,) each."""
    import torch

    distances = torch.arange(bias.shape[-1], dtype=bias.dtype)
    near = (bias <= READ_UP_TO) & bias.isfinite()
    seen = torch.where(near, bias, 0.0)
    slopes = (seen @ distances) / (near.to(bias) @ distances.square())
    bends = torch.where(near, bias - slopes[:, None] * distances, 0.0)
    return slopes, bends.abs().amax(-1)
