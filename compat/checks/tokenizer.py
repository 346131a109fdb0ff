"""Tokenizer: its special tokens, its padding, its chat template, and what it hands to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check
from compat.outcomes.bounds import bounded
from compat.targets import Weights

if TYPE_CHECKING:
    from compat.subject import Subject


SECONDS_TO_RENDER = 10.0
"""What no chat template needs a hundredth of."""


@check(Area.TOKENIZER)
def special_tokens_present(subject: Subject) -> None:
    """There is an end of text, and padding and a beginning of text or a stated fallback."""
    tokenizer = subject.tokenizer
    end = tokenizer.eos_token_id
    assert end is not None, "the tokenizer has no end-of-text token: generation can't stop"
    subject.measure("eos_token", tokenizer.eos_token)
    subject.measure("bos_token", tokenizer.bos_token or "none: text starts bare")
    subject.measure("pad_token", tokenizer.pad_token or "none: eos is used")
    for token in dict.fromkeys((tokenizer.eos_token, tokenizer.pad_token)):
        if token is not None:
            ids = tokenizer(token, add_special_tokens=False)["input_ids"]
            known = tokenizer.convert_tokens_to_ids(token)
            assert ids == [known], f"the special token {token} is cut into {ids}, not [{known}]"


@check(Area.TOKENIZER)
def token_ids_inside_embedding(subject: Subject) -> None:
    """Every token id, special ones included, has a row in the embedding."""
    rows = subject.anatomy.embedding_rows
    vocabulary = subject.tokenizer.get_vocab()
    outside = {token: number for token, number in vocabulary.items() if number >= rows}
    outside |= {
        token: number
        for token, number in zip(
            subject.tokenizer.all_special_tokens, subject.tokenizer.all_special_ids, strict=True
        )
        if not 0 <= number < rows
    }
    subject.measure("vocabulary", len(vocabulary))
    subject.measure("embedding_rows", rows)
    assert not outside, f"{len(outside)} ids outside the {rows} rows: {sorted(outside.items())[:5]}"


@check(Area.TOKENIZER)
def unaccepted_keys_filtered(subject: Subject) -> None:
    """What the tokenizer gives and the model does not accept is left out, and the rest runs."""
    given = subject.tokenizer("The adaptive transformer")
    assert "input_ids" in given, f"the tokenizer gives no input_ids but {sorted(given)}"
    accepted = subject.accepted_arguments(given)
    left_out = sorted(set(given) - set(accepted))
    subject.measure("left_out", ", ".join(left_out) or "nothing")
    assert "input_ids" in accepted, "the model does not accept input_ids"
    logits = subject.forward_tokenized(accepted)
    assert bool(logits.isfinite().all()), "logits are not finite for what the tokenizer gives"


@check(Area.TOKENIZER)
def pads_on_both_sides(subject: Subject) -> None:
    """Padding on the left and on the right keeps the tokens and masks exactly the padding."""
    texts = ["The adaptive", "The adaptive transformer architecture"]
    singles = [subject.tokenizer(text)["input_ids"] for text in texts]
    with subject.padding_token():
        for side in ("left", "right"):
            batch = subject.tokenizer(texts, padding=True, padding_side=side)
            rows = zip(batch["input_ids"], batch["attention_mask"], singles, strict=True)
            for ids, mask, single in rows:
                kept = [token for token, real in zip(ids, mask, strict=True) if real]
                assert kept == single, f"padding on the {side} changes the tokens: {kept}"
                padding = len(ids) - len(single)
                zeros, ones = [0] * padding, [1] * len(single)
                expected = zeros + ones if side == "left" else ones + zeros
                assert mask == expected, f"padding on the {side} is masked as {mask}"


@check(Area.TOKENIZER, needs={"chat-template"})
def chat_template_renders(subject: Subject) -> None:
    """The chat template renders a conversation and opens the model's turn."""
    question = "Which heads are gated?"
    turns = [{"role": "user", "content": question}]
    # A template is a stranger's: it can loop for ever, or multiply text until memory is full.
    with bounded("the chat template", seconds=SECONDS_TO_RENDER, megabytes=1_000):
        rendered = subject.tokenizer.apply_chat_template(turns, tokenize=False)
        opened = subject.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
    subject.sample(opened)
    assert question in rendered, "the rendered conversation does not hold the question"
    assert opened.startswith(rendered.rstrip()), "the generation prompt changes what was before it"
    assert len(opened) >= len(rendered), "the generation prompt takes something away"


@check(Area.TOKENIZER, weights={Weights.HUB, Weights.LOCAL})
def text_round_trips(subject: Subject) -> None:
    """Generated text survives encoding: plain text as it is, any text once normalised."""
    from hypothesis import HealthCheck, given, settings, strategies

    tokenizer = subject.tokenizer

    def through(text: str) -> str:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))

    quiet = settings(
        max_examples=60,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    words = strategies.lists(strategies.from_regex(r"[a-z]{1,9}", fullmatch=True), min_size=1)

    @quiet
    @given(words)
    def plain_text(parts: list[str]) -> None:
        text = " ".join(parts)
        assert through(text).strip() == text, f"{text!r} comes back as {through(text)!r}"

    @quiet
    @given(strategies.text(strategies.characters(codec="utf-8"), max_size=40))
    def any_text(text: str) -> None:
        once = through(text)
        assert through(once).strip() == once.strip(), f"{once!r} comes back as {through(once)!r}"

    plain_text()
    any_text()
