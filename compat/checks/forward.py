"""Forward: logits, loss and hidden states of one pass."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from compat.checks.drawing import for_any
from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from compat.subject import Subject
    from compat.subject.inputs import Side

LONGEST_ROW = 24
"""Tokens of a row that is drawn."""


@check(Area.FORWARD)
def logits_finite(subject: Subject) -> None:
    """A forward gives a finite logit for every position and every row of the vocabulary."""
    logits = subject.run.logits
    rows = subject.anatomy.embedding_rows
    assert logits.shape[0] == subject.text.inputs.length, f"{logits.shape[0]} positions come out"
    assert logits.shape[1] >= min(rows, len(subject.tokenizer)), (
        f"{logits.shape[1]} logits a position for a vocabulary of {len(subject.tokenizer)}"
    )
    bad = int((~logits.isfinite()).any(-1).sum())
    assert bad == 0, f"{bad} of {logits.shape[0]} positions hold NaN or infinity"
    subject.measure("largest_logit", float(logits.abs().max()))


@check(Area.FORWARD)
def forward_repeats(subject: Subject) -> None:
    """The same input gives bit for bit the same logits twice."""
    first, second = (subject.logits(subject.text.inputs) for _ in range(2))
    different = int((first != second).sum())
    assert different == 0, f"{different} of {first.numel()} logits differ between two runs"


@check(Area.FORWARD)
def recites_teacher_forced(subject: Subject) -> None:
    """Taught weights predict every token of their text; for others the loss is measured."""
    from torch.nn.functional import cross_entropy

    text = subject.text
    logits = subject.run.logits[text.start - 1 :]
    loss = float(cross_entropy(logits, text.continuation))
    subject.measure("loss_nats", loss)
    hits = logits.argmax(-1) == text.continuation
    subject.measure("recital", float(hits.float().mean()))
    if subject.taught:
        best = logits.topk(2).values
        subject.measure("smallest_margin", float((best[:, 0] - best[:, 1]).min()))
        wrong = int((~hits).sum())
        assert wrong == 0, f"{wrong} of {len(hits)} taught tokens are not predicted"
        return
    bound = subject.spec.max_loss
    assert bound is None or loss <= bound, f"loss {loss:.2f} is above the entry's {bound:.2f}"


@check(Area.FORWARD)
def later_tokens_do_not_reach_back(subject: Subject) -> None:
    """Changing a later token changes no earlier logit."""
    inputs = subject.text.inputs
    cut = inputs.length // 2
    changed = inputs.ids.clone()
    # Another token of the same text: always inside the vocabulary, never special by chance.
    changed[:, cut:] = inputs.ids[:, cut - 1 : cut]
    before = subject.logits(inputs)[0]
    after = subject.logits(inputs.with_ids(changed))[0]
    subject.assert_same(after[:cut], before[:cut], "logits before the changed token")
    moved = float((after[cut:] - before[cut:]).abs().max())
    assert moved > 0, "changing tokens changes nothing at all: the model does not read them"


@check(Area.FORWARD)
def padded_batch_equals_singles(subject: Subject) -> None:
    """A row gives the same logits alone and beside longer ones, padded on the left."""
    rows = subject.prompts()
    together = subject.logits(subject.batch(rows))
    worst = 0.0
    for index, row in enumerate(rows):
        alone = subject.logits(row)[0]
        padded = together[index, -row.length :]
        difference = subject.assert_close(padded, alone, f"row {index} of {row.length} tokens")
        worst = max(worst, difference)
    subject.measure("largest_relative_difference", worst)


@check(Area.FORWARD)
def any_padding_equals_singles(subject: Subject) -> None:
    """Rows of any lengths, padded on any side, give the logits that each gives alone."""
    from hypothesis import strategies

    longest = min(LONGEST_ROW, subject.longest_row)
    sides: tuple[Side, ...] = ("right",) if subject.has_encoder else ("left", "right", "both")
    rows = strategies.tuples(strategies.integers(1, longest), strategies.sampled_from(sides))
    alone = cache(lambda length: subject.logits(subject.row(length))[0])

    def gives_its_own(drawn: list[tuple[int, Side]]) -> None:
        batch = subject.batch([subject.row(length) for length, _ in drawn], [s for _, s in drawn])
        together = subject.logits(batch)
        for index, (length, _) in enumerate(drawn):
            own = together[index, batch.mask[index].bool()]
            subject.assert_close(own, alone(length), f"row {index} of {drawn}")

    for_any(subject, few=3)(gives_its_own, strategies.lists(rows, min_size=2, max_size=4))


@check(Area.FORWARD)
def loss_equals_cross_entropy(subject: Subject) -> None:
    """The loss that the model reports is the cross entropy of its logits."""
    from torch.nn.functional import cross_entropy

    text = subject.text
    if subject.has_encoder:
        output = subject.forward_with_labels(text.inputs, text.labels)
        own = cross_entropy(output.logits[0].float(), text.labels[0].to(output.logits.device))
    else:
        output = subject.forward_with_labels(text.inputs, text.inputs.ids)
        shifted = text.inputs.ids[0, 1:].to(output.logits.device)
        own = cross_entropy(output.logits[0, :-1].float(), shifted)
    reported, expected = float(output.loss), float(own)
    subject.measure("reported_loss_nats", reported)
    assert abs(reported - expected) <= subject.tolerance * max(1.0, abs(expected)), (
        f"the model reports a loss of {reported:.5f}, its logits give {expected:.5f}"
    )


@check(Area.FORWARD)
def hidden_states_complete(subject: Subject) -> None:
    """A forward reports one hidden state more than it has blocks, each of the right width."""
    states = subject.run.hidden_states
    assert states is not None, "the forward reports no hidden states when asked for them"
    shape = subject.checkpoint.shape
    assert len(states) == shape.blocks + 1, f"{len(states)} states for {shape.blocks} blocks"
    widths = [state.shape[-1] for state in states]
    assert set(widths) == {shape.hidden}, f"widths are {widths}, {shape.hidden} announced"
    bad = [index for index, state in enumerate(states) if not bool(state.isfinite().all())]
    assert not bad, f"hidden states {bad} hold NaN or infinity"


@check(Area.FORWARD, needs={"vision"})
def image_changes_logits(subject: Subject) -> None:
    """An image goes through the vision tower and changes what is said about it."""
    first, second = (subject.image_inputs(seed) for seed in (0, 1))
    answers = [subject.logits(inputs)[0, -1] for inputs in (first, second)]
    for answer in answers:
        assert bool(answer.isfinite().all()), "logits after an image are not finite"
    moved = float((answers[0] - answers[1]).abs().max())
    subject.measure("largest_logit_change", moved)
    assert moved > 0, "two different images give the same logits: the image is not seen"
