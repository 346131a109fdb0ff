"""Generation: greedy and sampled, with and without a cache, alone and in a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from torch import Tensor

    from compat.subject import Subject

STEPS = 6
"""Tokens generated where a comparison is the point and not the text."""


@check(Area.GENERATION)
def recites_freely(subject: Subject) -> None:
    """Taught weights recite their text from its beginning; what others say is the sample."""
    import time

    from compat.subject.running import NEW_TOKENS

    started = time.perf_counter()
    said = subject.greedy.row()
    subject.measure("tokens_per_second", len(said) / (time.perf_counter() - started))
    subject.measure("prompt", subject.text.asked)
    subject.sample(subject.decode(said))
    assert len(said) == NEW_TOKENS, f"{len(said)} tokens were generated, {NEW_TOKENS} asked for"
    if subject.taught:
        expected = subject.text.continuation.tolist()[: len(said)]
        right = sum(a == b for a, b in zip(said, expected, strict=True)) / len(said)
        subject.measure("recital", right)
        assert said == expected, (
            f"says {subject.decode(said)!r} instead of {subject.decode(expected)!r}"
        )


@check(Area.GENERATION)
def greedy_repeats(subject: Subject) -> None:
    """Greedy generation gives the same tokens twice, by bit for bit the same logits."""
    first, again = subject.greedy, subject.generate(subject.text.prompt())
    assert again.row() == first.row(), f"{first.row()} at first, then {again.row()}"
    different = int((again.logits != first.logits).sum())
    assert different == 0, f"the same tokens, and {different} logits that differ"


@check(Area.GENERATION)
def cache_changes_nothing(subject: Subject) -> None:
    """Generation without a cache gives the tokens that it gives with one."""
    plain = subject.generate(subject.text.prompt(), new_tokens=STEPS, use_cache=False)
    cached = subject.greedy.row()[:STEPS]
    assert plain.row() == cached, f"{cached} with a cache, {plain.row()} without"
    _require_same_logits(subject, subject.greedy.logits[0, :STEPS], plain.logits[0], "cached")


def _require_same_logits(subject: Subject, actual: Tensor, expected: Tensor, what: str) -> None:
    """Compare what the tokens were chosen by, (steps, vocabulary).

    A taught text is said with a margin that hides what is lost on the way. Rounded activations
    are not compared: where a router decides by them, rounding sends a token elsewhere.
    """
    if not subject.rounds_activations:
        subject.assert_close(actual, expected, f"{what}: logits of {len(expected)} steps")


@check(Area.GENERATION)
def padded_batch_generates_as_singles(subject: Subject) -> None:
    """A prompt is continued the same alone and beside longer ones, padded on the left."""
    rows = subject.prompts()
    together = subject.generate(subject.batch(rows), new_tokens=STEPS)
    for index, row in enumerate(rows):
        alone = subject.generate(row, new_tokens=STEPS)
        said, batched = alone.row(), together.row(index)
        assert batched == said, f"row {index}: {said} alone, {batched} in the batch"
        _require_same_logits(subject, together.logits[index], alone.logits[0], f"row {index}")


@check(Area.GENERATION, needs={"taught-weights", "end-of-text"})
def stops_at_end_of_text(subject: Subject) -> None:
    """Generation ends with the end-of-text token that the text was taught with."""
    left = 3
    continuation = subject.text.continuation
    prompt = subject.text.prompt(recited=len(continuation) - left)
    said = subject.generate(prompt, new_tokens=left + 5, stop=True).row()
    assert said == continuation[-left:].tolist(), (
        f"says {subject.decode(said)!r} where the text ends {left} tokens on"
    )


@check(Area.GENERATION)
def stops_at_given_token(subject: Subject) -> None:
    """Generation ends with the token that is given as its end, whatever the weights say."""
    said = subject.greedy.row()
    # Not the last token: it would be the end in any case.
    new = [place for place, token in enumerate(said[:-1]) if token not in said[:place]]
    # The third or a later one, so that it is seen to go on before; weights that repeat themselves
    # may say fewer that are new.
    place = next((place for place in new if place >= 2), new[-1])
    stopped = subject.generate(subject.text.prompt(), eos_token_id=said[place]).row()
    assert stopped == said[: place + 1], (
        f"says {stopped} where token {said[place]} is the end of {said[: place + 1]}"
    )


@check(Area.GENERATION)
def explicit_settings_win(subject: Subject) -> None:
    """Settings that are given win over the generation config that came with the checkpoint."""
    first = subject.greedy.row()[0]
    with subject.checkpoint_config_of(
        suppress_tokens=[first], repetition_penalty=5.0, do_sample=True, temperature=9.0
    ):
        said = subject.generate(subject.text.prompt(), new_tokens=STEPS).row()
    expected = subject.greedy.row()[:STEPS]
    assert said == expected, f"{expected} as asked for, {said} with another config on the model"


@check(Area.GENERATION)
def sampling_repeats_with_seed(subject: Subject) -> None:
    """Sampling with the same seed gives the same tokens, and with other seeds not always."""
    import torch

    def sample(seed: int) -> list[int]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return subject.generate(
                subject.text.prompt(),
                new_tokens=STEPS,
                do_sample=True,
                temperature=20.0,
                top_k=0,
                top_p=1.0,
            ).row()

    first, again = sample(7), sample(7)
    assert first == again, f"seed 7 gives {first}, then {again}"
    others = [sample(seed) for seed in (8, 9)]
    assert any(other != first for other in others), "three seeds give the same tokens: not sampled"


@check(Area.GENERATION, needs={"hidden-states"})
def hidden_states_at_each_step(subject: Subject) -> None:
    """Generation reports the hidden states of every block at every step."""
    steps = subject.greedy.hidden_states
    assert steps is not None, "generation reports no hidden states when asked for them"
    generated = subject.greedy.tokens.shape[1]
    assert len(steps) == generated, f"hidden states of {len(steps)} steps for {generated} tokens"
    blocks = subject.checkpoint.shape.blocks
    for number, states in enumerate(steps):
        assert len(states) == blocks + 1, f"step {number}: {len(states)} states, {blocks} blocks"
        length = subject.text.start if number == 0 else 1
        lengths = {state.shape[1] for state in states}
        assert lengths == {length}, f"step {number}: states of length {lengths}, not {length}"
        bad = [index for index, state in enumerate(states) if not bool(state.isfinite().all())]
        assert not bad, f"step {number}: hidden states {bad} hold NaN or infinity"
