"""Calibration: what prompts come to at the blocks, alone, in a batch and while they are continued.

The probe tests the capture and nothing else: random weights pass it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from compat.subject import Subject

STEPS = 3
"""Tokens generated: a prefill and two decoding steps."""

SMALLEST_DISTANCE = 2e-3
"""Between two prompts' means, as a share of their length. The smallest on a healthy twin of the
registry is 0.019."""

SMALLEST_ACCURACY = 0.8
"""Of the probe on twenty held-out prompts. Guessing reaches it once in 170 times; the least that a
healthy twin of the registry shows is 0.9."""

RIDGE = 1e-2
"""Of the probe, as a share of the mean squared length of what it is fitted on."""


@check(Area.CALIBRATION)
def mean_activation_hides_no_nan(subject: Subject) -> None:
    """A prompt's mean activation at a usable block is that of its tokens, and NaN shows in it."""
    prompt = subject.text.prompt()
    mean = subject.mean_activation(prompt)
    subject.measure("block_used", mean.block)
    width = subject.checkpoint.shape.hidden
    assert mean.vector.shape == (width,), f"a mean of {tuple(mean.vector.shape)}, not of {width}"
    bad = int((~mean.vector.isfinite()).sum())
    assert bad == 0, f"{bad} of {width} features of the mean are NaN or infinity"
    own = subject.run.blocks[mean.block][: prompt.length].mean(0)
    subject.assert_close(mean.vector, own, f"mean at block {mean.block}")
    with subject.edit(mean.block, _with_nan):
        (spoilt,) = subject.calibrate(prompt).blocks[mean.block]
    assert bool(spoilt.isnan().any()), "a NaN among the states does not show in their mean"


def _with_nan(hidden: Tensor) -> Tensor:
    """One NaN, in the first feature of the first position."""
    import torch

    spoilt = hidden.clone()
    spoilt[:, 0, 0] = torch.nan
    return spoilt


@check(Area.CALIBRATION)
def unusable_blocks_are_passed_over(subject: Subject) -> None:
    """Of the last, second-last, middle and first block the first without NaN gives the mean."""
    from compat.subject.calibration import usable_blocks

    finite = [bool(block.isfinite().all()) for block in subject.run.blocks]
    for spoilt in (len(finite) - 1, 0):
        # What a block puts out reaches every later one.
        left = [index for index in usable_blocks(len(finite)) if index < spoilt and finite[index]]
        expected = left[0] if left else None
        used = _block_used(subject, spoilt)
        assert used == expected, f"with NaN from block {spoilt} on, block {used} gives the mean"


def _block_used(subject: Subject, spoilt: int) -> int | None:
    """The block at which a mean is read while one holds a NaN; None where there is none."""
    from compat.subject.calibration import NoUsableBlockError

    with subject.edit(spoilt, _with_nan):
        try:
            return subject.mean_activation(subject.text.prompt()).block
        except NoUsableBlockError:
            return None


@check(Area.CALIBRATION)
def ten_prompts_calibrate_every_block(subject: Subject) -> None:
    """Ten prompts in a batch give ten different means at every block, each as if read alone."""
    from compat.subject.prompts import CALIBRATION

    calibration = subject.calibration
    subject.measure("prompts_per_second", calibration.prompts_per_second)
    smallest = float("inf")
    for index, means in enumerate(calibration.blocks):
        assert bool(means.isfinite().all()), f"block {index}: a mean holds NaN or infinity"
        distance = _smallest_distance(means)
        smallest = min(smallest, distance)
        assert distance >= SMALLEST_DISTANCE, (
            f"block {index}: two prompts have means that are {distance:.1e} of their length apart"
        )
    subject.measure("smallest_distance", smallest)
    variances = [float(means.double().var(dim=0).mean()) for means in calibration.blocks]
    subject.measure("mean_variance_by_block", variances)
    for number in (0, len(CALIBRATION) - 1):
        alone = subject.calibrate(*subject.read([CALIBRATION[number]]))
        for index, (own, batch) in enumerate(zip(alone.blocks, calibration.blocks, strict=True)):
            subject.assert_close(batch[number], own[0], f"block {index}: prompt {number} of ten")


def _smallest_distance(means: Tensor) -> float:
    """Between any two of several means, (prompts, width), as a share of their mean length."""
    from torch.nn.functional import pdist

    return float(pdist(means).min() / means.norm(dim=-1).mean())


@check(Area.CALIBRATION)
def probe_separates_held_out_prompts(subject: Subject) -> None:
    """A probe fitted on half of two prompt sets tells the other half apart: a test of capture."""
    from compat.subject.prompts import ENTRIES, SENTENCES

    rows = subject.read((*SENTENCES, *ENTRIES), equally_long=True)
    accuracies = []
    for means in subject.calibrate(subject.batch(rows)).blocks:
        sentences, entries = means[: len(SENTENCES)], means[len(SENTENCES) :]
        fitted, held_out = _halves(len(SENTENCES))
        score = _probe(sentences[fitted], entries[fitted])
        right = (score(sentences[held_out]) > 0).sum() + (score(entries[held_out]) < 0).sum()
        accuracies.append(float(right) / (2 * len(held_out)))
    subject.measure("held_out_accuracy", accuracies)
    for index, accuracy in enumerate(accuracies):
        assert accuracy >= SMALLEST_ACCURACY, (
            f"block {index}: the probe is right about {accuracy:.0%} of the held-out prompts"
        )


def _halves(count: int) -> tuple[list[int], list[int]]:
    """Two of every four indices, and the other two: prompts differ in pairs."""
    return [i for i in range(count) if i % 4 < 2], [i for i in range(count) if i % 4 >= 2]


def _probe(ones: Tensor, others: Tensor) -> Callable[[Tensor], Tensor]:
    """A linear probe, fitted by ridge regression to +1 for `ones` and -1 for `others`.

    Both are (prompts, width).
    """
    import torch

    points = torch.cat([ones, others])
    labels = torch.cat([torch.ones(len(ones)), -torch.ones(len(others))])
    middle = points.mean(0)
    centred = points - middle
    products = centred @ centred.T
    ridge = max(RIDGE * float(products.diagonal().mean()), 1e-12)  # a constant capture has 0
    weights = centred.T @ torch.linalg.solve(products + ridge * torch.eye(len(points)), labels)
    return lambda means: (means - middle) @ weights


@check(Area.CALIBRATION)
def several_blocks_captured_at_once(subject: Subject) -> None:
    """First, quarter, half, three-quarter and last block are captured together as one by one."""
    inputs, chosen = subject.text.prompt(), _spread(subject)
    with subject.capture(chosen) as together:
        subject.forward(inputs)
    for index, module in chosen.items():
        with subject.capture({index: module}) as alone:
            subject.forward(inputs)
        calls = len(together[index]), len(alone[index])
        assert calls == (1, 1), f"block {index} gave {calls[0]} states together, {calls[1]} alone"
        different = int((together[index][0] != alone[index][0]).sum())
        assert different == 0, f"block {index}: {different} values differ when captured alone"


@check(Area.CALIBRATION)
def blocks_captured_at_every_step(subject: Subject) -> None:
    """What the chosen blocks give at each step of generation is what they give for the whole."""
    from dataclasses import replace

    import torch

    prompt, chosen = subject.text.prompt(), _spread(subject)
    with subject.capture(chosen) as together:
        generated = subject.generate(prompt, new_tokens=STEPS)
    ids = torch.cat([prompt.ids, generated.tokens[:, :-1]], dim=1)
    with subject.capture(chosen) as at_once:
        subject.forward(replace(prompt, ids=ids, mask=torch.ones_like(ids)))
    expected = [prompt.length] + [1] * (STEPS - 1)
    for index, module in chosen.items():
        lengths = [state.shape[1] for state in together[index]]
        assert lengths == expected, f"block {index}: states of length {lengths}, not {expected}"
        steps = torch.cat(together[index], dim=1)
        bad = [at for at, state in enumerate(together[index]) if not bool(state.isfinite().all())]
        assert not bad, f"block {index}: the states of steps {bad} hold NaN or infinity"
        if not subject.rounds_activations:
            (whole,) = at_once[index]
            subject.assert_close(steps, whole, f"block {index}: states of {STEPS} steps")
        with subject.capture({index: module}) as alone:
            subject.generate(prompt, new_tokens=STEPS)
        different = int((torch.cat(alone[index], dim=1) != steps).sum())
        assert different == 0, f"block {index}: {different} values differ when captured alone"


def _spread(subject: Subject) -> dict[int, nn.Module]:
    """The first, quarter, half, three-quarter and last decoder block."""
    last = len(subject.anatomy.blocks) - 1
    indices = sorted({round(last * quarter / 4) for quarter in range(5)})
    return {index: subject.anatomy.blocks[index].module for index in indices}
