"""Tokenizer: its special tokens, its padding, its chat template, and what it hands to the model."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any

from compat.checks.drawing import for_any
from compat.checks.registry import Area, check
from compat.outcomes.bounds import bounded

if TYPE_CHECKING:
    from compat.subject import Subject

METASPACE = "\u2581"
"""What SentencePiece writes for a space."""
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


@check(Area.TOKENIZER)
def text_round_trips(subject: Subject) -> None:
    """Any text comes back from its tokens, or the tokenizer says what it has changed."""
    from hypothesis import strategies

    tokenizer = subject.tokenizer
    changed: Counter[str] = Counter()

    def through(text: str) -> tuple[list[int], str]:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids, str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))

    def words_come_back(words: list[str]) -> None:
        text, (_, back) = " ".join(words), through(" ".join(words))
        assert back.strip() == text, f"{text!r} comes back as {back!r}"

    def comes_back(text: str) -> None:
        ids, back = through(text)
        if back == text:
            return
        why = _why_changed(tokenizer, text, ids, back)
        assert why, f"{text!r} comes back as {back!r}, and the tokenizer does not say why"
        changed[why] += 1

    word = strategies.from_regex(r"[a-z]{1,9}", fullmatch=True)
    for_any(subject, few=4)(words_come_back, strategies.lists(word, min_size=1))
    any_text = strategies.text(strategies.characters(codec="utf-8"), max_size=40)
    for_any(subject, few=8)(comes_back, any_text)
    said = ", ".join(f"{count} {why}" for why, count in changed.most_common())
    subject.measure("texts_changed", said or "none")


def _why_changed(tokenizer: Any, text: str, ids: list[int], back: str) -> str:
    """What explains that a text does not come back as it was; empty where nothing does."""
    unknown = tokenizer.unk_token_id
    if any(token in text for token in tokenizer.all_special_tokens):
        return "hold a special token"
    if _letters(back) == _letters(text):
        return "in their spaces"
    if unknown is not None and unknown in ids:
        return "have an unknown token"
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    own = normalizer.normalize_str(text) if normalizer else unicodedata.normalize("NFKC", text)
    return "normalised" if own != text and _letters(own) == _letters(back) else ""


def _letters(text: str) -> str:
    """A text without its spaces, and without what some tokenizers put in their place."""
    return "".join(text.replace(METASPACE, " ").split())
