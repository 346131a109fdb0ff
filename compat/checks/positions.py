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


@check(Area.ATTENTION, needs={"attention", "decoder-only"})
def linear_bias_has_its_slopes(subject: Subject) -> None:
    """Where attention falls off evenly with distance, heads do so by the published slopes."""
    from compat.outcomes import NotApplicable
    from compat.subject.positions import distance_biases, published_slopes

    if subject.has("rotary"):
        raise NotApplicable("positions turn queries and keys")
    measured = {block: _slopes(bias) for block, bias in distance_biases(subject).items()}
    even = {block: slopes for block, slopes in measured.items() if slopes is not None}
    if not even:
        raise NotApplicable("attention does not fall off evenly with distance")
    for block, slopes in even.items():
        expected = published_slopes(len(slopes))
        subject.assert_close(slopes, expected, f"block {block}: slopes {slopes.tolist()}")
    subject.measure("slopes", slopes.tolist())


def _slopes(bias: Tensor) -> Tensor | None:
    """The slope of each head, (heads,), in nats a token; None where one is no straight line."""
    import torch

    distances = torch.arange(bias.shape[-1], dtype=bias.dtype)
    near = (bias <= READ_UP_TO) & bias.isfinite()
    seen = torch.where(near, bias, 0.0)
    slopes = (seen @ distances) / (near.to(bias) @ distances.square())
    bent = torch.where(near, bias - slopes[:, None] * distances, 0.0)
    straight = bool((bent.abs() <= 0.05 * seen.amax(-1, keepdim=True).clamp(min=0.1)).all())
    return slopes if straight and bool((slopes > 0).all()) else None
