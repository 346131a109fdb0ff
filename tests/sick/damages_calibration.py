"""Models, and wrappers of models, whose mean activations are not those of the prompt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from compat.subject.calibration import Calibration, MeanActivation
from compat.targets import Mode
from tests.sick.sickness import GPT2, sick
from tests.sick.surgery import around_forward, change_hidden, modules

MEAN = "mean_activation_hides_no_nan"
FALLBACK = "unusable_blocks_are_passed_over"
TEN = "ten_prompts_calibrate_every_block"
PROBE = "probe_separates_held_out_prompts"
TOGETHER = "several_blocks_captured_at_once"
STEPS = "blocks_captured_at_every_step"


def _calibrate_by(subject: Any, reduce: Any) -> None:
    """Let a wrapper reduce captured states, (batch, length, width), and a mask in its own way."""

    def calibrate(inputs: Any) -> Calibration:
        with subject.capture() as captured:
            subject.forward(inputs)
        return Calibration(
            tuple(reduce(captured[i][0], inputs.mask) for i in sorted(captured)), 1.0
        )

    subject.calibrate = calibrate


@sick(MEAN, says=r"a mean of \(\d+,\), not of 64")
def mean_over_features(subject: Any) -> None:
    """A wrapper takes the mean over the last axis: one number a token."""
    _calibrate_by(subject, lambda hidden, _mask: hidden.mean(-1))


@sick(MEAN, says="mean at block 1: differs by")
def last_token_for_the_mean(subject: Any) -> None:
    """A wrapper reads the last token and calls it the mean."""
    _calibrate_by(subject, lambda hidden, _mask: hidden[:, -1])


@sick(MEAN, says="a NaN among the states does not show in their mean", model=GPT2)
@sick(FALLBACK, says="with NaN from block 1 on, block 1 gives the mean", model=GPT2)
def nan_left_out_of_the_mean(subject: Any) -> None:
    """A wrapper takes `nanmean`: what overflowed is left out without a word."""
    _calibrate_by(subject, lambda hidden, _mask: hidden.nanmean(1))


@sick(
    MEAN,
    says="features of the mean are NaN or infinity",
    shows_in={"forward", "generation", "hooks", "gates", "embeds"},
)
@sick(
    FALLBACK,
    says="with NaN from block 1 on, block 1 gives the mean",
    shows_in={"forward", "generation", "hooks", "gates", "embeds"},
)
def last_block_without_fallback(subject: Any) -> None:
    """The last block overflows at one token, and a wrapper reads it all the same."""

    def overflow(hidden: torch.Tensor) -> torch.Tensor:
        spoilt = hidden.clone()
        spoilt[:, 2] = torch.nan
        return spoilt

    change_hidden(modules(subject)[-1], overflow)
    inner = subject.calibrate

    def mean_activation(inputs: Any) -> MeanActivation:
        means = inner(inputs).blocks
        return MeanActivation(len(means) - 1, means[-1][0])

    subject.mean_activation = mean_activation


@sick(FALLBACK, says="with NaN from block 1 on, block None gives the mean")
def no_second_choice(subject: Any) -> None:
    """Every block holds the NaN of the last: they write into one buffer."""
    inner = subject.calibrate

    def calibrate(inputs: Any) -> Calibration:
        calibration: Calibration = inner(inputs)
        last = calibration.blocks[-1]
        return replace(calibration, blocks=tuple(last for _ in calibration.blocks))

    subject.calibrate = calibrate


def _in_large_batches(subject: Any, change: Any) -> None:
    """Change what the last block gives for more than four rows."""
    change_hidden(
        modules(subject)[-1], lambda hidden: change(hidden) if len(hidden) > 4 else hidden
    )


@sick(TEN, says="block 1: a mean holds NaN or infinity")
def large_batch_overflows(subject: Any) -> None:
    """A kernel reads past its buffer where a batch has more than four rows."""
    _in_large_batches(subject, lambda hidden: hidden * torch.nan)


@sick(PROBE, says=r"block 1: the probe is right about \d+% of the held-out prompts")
@sick(TEN, says=r"block 1: two prompts have means that are 0.0e\+00 of their length apart")
def first_row_for_all(subject: Any) -> None:
    """In a large batch the last block computes the first row, and gives it for every row."""
    _in_large_batches(subject, lambda hidden: hidden[:1].expand_as(hidden).contiguous())


@sick(TEN, says=r"block \d: prompt \d of ten: differs", model=GPT2)
def padding_counted_in_the_mean(subject: Any) -> None:
    """A wrapper takes the mean over the whole row, its padding too."""
    _calibrate_by(subject, lambda hidden, _mask: hidden.mean(1))


@sick(TEN, says=r"block 1: prompt \d of ten: differs")
def block_skipped_in_large_batches(subject: Any) -> None:
    """To save time the last block is skipped where a batch has more than four rows."""

    def skip(inner: Any, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return hidden if len(hidden) > 4 else inner(hidden, *args, **kwargs)

    around_forward(modules(subject)[-1], skip)


@sick(PROBE, says=r"block 1: the probe is right about \d+% of the held-out prompts")
def rows_mixed_up(subject: Any) -> None:
    """The last block works on rows in an order of its own and does not put them back."""

    def mix(hidden: torch.Tensor) -> torch.Tensor:
        return hidden[torch.randperm(len(hidden), generator=torch.Generator().manual_seed(0))]

    _in_large_batches(subject, mix)


@sick(TOGETHER, says="block 0 gave 1 states together, 2 alone", shows_in={"hooks"})
def states_of_earlier_captures_kept(subject: Any) -> None:
    """A wrapper keeps what it has captured, and puts the next state behind it."""
    kept: dict[int, list[torch.Tensor]] = {}
    usual = subject.capture

    @contextmanager
    def keep(chosen: Any = None) -> Iterator[Any]:
        with usual(chosen) as captured:
            for index, states in kept.items():
                captured.setdefault(index, [])[:] = states
            yield captured
        kept.update(captured)

    subject.capture = keep


@sick(TOGETHER, says="block 0: .* differ when captured alone", shows_in={"hooks"})
@sick(STEPS, says="block 0: .* differ when captured alone", mode=Mode.BF16, shows_in={"hooks"})
def blocks_captured_into_one_buffer(subject: Any) -> None:
    """A wrapper captures into one buffer a step: every block shows the state of the last."""

    usual = subject.capture

    @contextmanager
    def overwrite(chosen: Any = None) -> Iterator[Any]:
        with usual(chosen) as captured:
            yield captured
            last = captured[max(captured)]
            for states in captured.values():
                states[:] = last

    subject.capture = overwrite


@sick(STEPS, says=r"block 0: states of length \[\d+\], not")
def prefill_captured_only(subject: Any) -> None:
    """A wrapper takes its hooks off after the first forward."""

    usual = subject.capture

    @contextmanager
    def once(chosen: Any = None) -> Iterator[Any]:
        with usual(chosen) as captured:
            yield captured
            for states in captured.values():
                del states[1:]

    subject.capture = once


@sick(
    STEPS,
    says=r"block 1: the states of steps \[1, 2\] hold NaN or infinity",
    shows_in={"generation"},
)
def nan_while_decoding(subject: Any) -> None:
    """The last block overflows for single tokens: in decoding, never in a prefill."""
    change_hidden(
        modules(subject)[-1], lambda hidden: hidden * torch.nan if hidden.shape[1] == 1 else hidden
    )


@sick(STEPS, says=r"block \d: states of 3 steps: differs")
def positions_off_by_one_in_decoding(subject: Any) -> None:
    """Each decoding step takes its token to stand one place later than it does."""

    def late(inner: Any, hidden: torch.Tensor, position_ids: torch.Tensor, **kwargs: Any) -> Any:
        late_by = int(position_ids.shape[1] == 1)
        return inner(hidden, position_ids=position_ids + late_by, **kwargs)

    around_forward(subject.model.model.rotary_emb, late)
