"""Models that are well for the example at hand, and not for any: properties find them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from compat import interventions
from compat.interventions import hidden_of, with_hidden
from tests.sick.sickness import GPT2, sick
from tests.sick.surgery import (
    around_forward,
    around_method,
    attentions,
    modules,
)

TEXT = "text_round_trips"
PADDING = "any_padding_equals_singles"
GATES = "any_gates_scale_their_heads"
NESTING = "any_interventions_nest_and_undo"


@sick(TEXT, says="'.*A.*' comes back as '.*a.*', and the tokenizer does not say why")
def capitals_lost_in_decoding(subject: Any) -> None:
    """Text comes back in lower case, though no normaliser takes capitals away."""
    around_method(
        subject.tokenizer,
        "decode",
        lambda inner, *args, **kwargs: inner(*args, **kwargs).lower(),
    )


@sick(TEXT, says=r"'\\x80' comes back as ''")
def bytes_above_ascii_dropped(subject: Any) -> None:
    """Whatever is not ASCII is dropped in decoding, as where tokens are decoded one by one."""
    around_method(
        subject.tokenizer,
        "decode",
        lambda inner, *args, **kwargs: inner(*args, **kwargs).encode("ascii", "ignore").decode(),
    )


def _given_mask(subject: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Let `change` replace the mask, (batch, length), that a forward is given."""

    def around(inner: Any, *args: Any, **kwargs: Any) -> Any:
        mask = kwargs.get("attention_mask")
        if mask is not None:
            kwargs["attention_mask"] = change(mask)
        return inner(*args, **kwargs)

    around_forward(subject.model, around)


@sick(
    "padded_batch_equals_singles",
    says=r"row \d of \d+ tokens: differs",
    spares={"recites_teacher_forced"},
)
@sick(PADDING, says="differs by", spares={"recites_teacher_forced"})
def mask_read_on_the_right_only(subject: Any) -> None:
    """Only what is masked behind a text is left out; before it, padding is attended to."""
    _given_mask(subject, lambda mask: mask.flip(1).cummax(1).values.flip(1))


@sick(PADDING, says="differs by", spares={"padded_batch_equals_singles"})
def mask_taken_for_a_length(subject: Any) -> None:
    """A mask is counted and taken for padding on the left, wherever the padding is."""

    def by_length(mask: torch.Tensor) -> torch.Tensor:
        padding = mask.shape[1] - mask.sum(1, keepdim=True)
        return (torch.arange(mask.shape[1]) >= padding).to(mask)

    _given_mask(subject, by_length)


@sick(
    "padded_batch_equals_singles",
    says=r"row \d of \d+ tokens: differs",
    spares={"recites_teacher_forced", "blocks_run_in_order"},
)
@sick(PADDING, says="differs by", spares={"recites_teacher_forced", "blocks_run_in_order"})
def last_block_skipped_in_batches(subject: Any) -> None:
    """A server that is asked for more than two rows at once leaves the last block out."""

    def skip(inner: Any, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        output = inner(hidden, *args, **kwargs)
        return output if len(hidden) <= 2 else with_hidden(output, hidden)

    around_forward(modules(subject)[-1], skip)


@sick(
    "padded_batch_generates_as_singles",
    says=r"row \d: .* in the batch|logits of 6 steps",
    spares={"cache_changes_nothing", "greedy_repeats", "padded_batch_equals_singles"},
)
def cache_of_the_first_row_for_all(subject: Any) -> None:
    """The cache was written for one row: in a batch every row decodes with the first one's."""

    def first_for_all(inner: Any, *args: Any, **kwargs: Any) -> Any:
        cache, layer = kwargs.get("past_key_values"), inner.__self__.layer_idx
        if cache is not None and cache.get_seq_length(layer) > 1:
            for stored in (cache.layers[layer].keys, cache.layers[layer].values):
                stored[:] = stored[:1]
        return inner(*args, **kwargs)

    for attention in attentions(subject):
        around_forward(attention, first_for_all)


def _gates_as(subject: Any, understood: Callable[[torch.Tensor], torch.Tensor]) -> None:
    usual = subject.gate
    subject.gate = lambda gates: usual([understood(one) for one in gates])


@sick(
    GATES,
    says=r"gates of \[.*\]: \d+ of \d+ logits differ",
    spares={"open_gates_are_exact", "closed_gates_remove_their_heads"},
)
def half_open_gates_are_open(subject: Any) -> None:
    """Gates are switches: what is neither open nor closed is taken for open."""
    _gates_as(subject, torch.ceil)


@sick(GATES, says=r"gates of \[.*\]: \d+ of \d+ logits differ", spares={"open_gates_are_exact"})
def gates_share_what_is_left(subject: Any) -> None:
    """What is closed in one head is given to the others, so that the gates' sum stays the same."""
    _gates_as(subject, lambda gates: gates * len(gates) / gates.sum() if gates.sum() else gates)


@sick(
    NESTING,
    says="steer at block .*, interrupted: .* are not what they were before",
    shows_in={"forward", "generation", "calibration"},
    spares={"steering_takes_effect_and_is_undone"},
)
def steering_stays_on_after_an_error(subject: Any) -> None:
    """A wrapper takes its steering off where it ends, and not where it is interrupted."""

    @contextmanager
    def steer(index: int, direction: torch.Tensor, *, start: int = 0) -> Iterator[None]:
        def add(_module: Any, _args: Any, output: Any) -> Any:
            hidden = hidden_of(output).clone()
            hidden[:, start:] += direction
            return with_hidden(output, hidden)

        handle = modules(subject)[index].register_forward_hook(add)
        yield
        handle.remove()

    subject.steer = steer


@sick(
    NESTING,
    says="gate at block .* in .*gate in .*, (left|interrupted): ",
    model=GPT2,
    shows_in={"forward", "calibration"},
    spares={"closed_gates_remove_their_heads"},
)
def inner_gates_open_the_outer_ones(subject: Any) -> None:
    """A wrapper keeps one set of gates, and opens them all wherever a `with` ends."""
    present = interventions.open_gates(subject.gate_sites)
    subject.attached = interventions.gate(subject.gate_sites, lambda site: present[site])

    @contextmanager
    def gate(gates: Any) -> Iterator[None]:
        present[:] = list(gates)
        try:
            yield
        finally:
            present[:] = interventions.open_gates(subject.gate_sites)

    subject.attached.__enter__()
    subject.gate = gate


@sick("sampling_repeats_with_seed", says=r"seed 7 gives \[.*\], then", spares={"greedy_repeats"})
def sampler_seeds_itself(subject: Any) -> None:
    """A sampler draws from a source of its own, seeded when it was made, whatever seed is set."""
    inner, source = subject.model.generate, torch.Generator().manual_seed(0)

    def generate(*args: Any, **kwargs: Any) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(int(torch.randint(1 << 30, (), generator=source)))
            return inner(*args, **kwargs)

    subject.model.generate = generate
