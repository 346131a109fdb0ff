"""Training a tokenizer of a model's own kind, small, so that any text survives a round trip.

Ids `0..SPECIALS-1` are special tokens, then come the 256 bytes, then what was learned.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from tokenizers.processors import TemplateProcessing

from compat.registry.spec import TokenizerKind
from compat.weights.twin.lesson import corpus
from compat.weights.twin.sizes import VOCABULARY
from compat.weights.twin.slots import SPECIALS, Slot

_METASPACE = "▁"
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_BYTE_SCORE = -20.0
"""Log probability of a byte piece: below every learned piece, so that bytes are the last resort."""


def build_tokenizer(
    kind: TokenizerKind,
    specials: Sequence[str],
    *,
    prefix: Sequence[int] = (),
    suffix: Sequence[int] = (),
) -> Tokenizer:
    """A tokenizer of `kind` whose first ids are `specials`.

    `prefix` and `suffix` are ids of specials that are put around every text.
    """
    if len(specials) != SPECIALS:
        raise ValueError(f"{len(specials)} special tokens, expected {SPECIALS}")
    tokenizer = _BUILDERS[kind](tuple(specials))
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in specials]
    )
    if prefix or suffix:
        around = [specials[index] for index in (*prefix, *suffix)]
        single = [specials[i] for i in prefix] + ["$A"] + [specials[i] for i in suffix]
        tokenizer.post_processor = _post_processor(kind, single, around, specials)
    return tokenizer


def _post_processor(
    kind: TokenizerKind, single: list[str], around: list[str], specials: Sequence[str]
) -> TemplateProcessing:
    ids = [(name, specials.index(name)) for name in sorted(set(around))]
    return TemplateProcessing(single=single, pair=[*single, "$B:1"], special_tokens=ids)


def _byte_level_bpe(specials: tuple[str, ...]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**_byte_level_pieces(specials)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _byte_level_pieces(specials: tuple[str, ...]) -> dict[str, Any]:
    vocabulary, merges = _trained_byte_level()
    names = {name: index for index, name in enumerate(specials)}
    pieces = {piece: SPECIALS + index for index, piece in enumerate(vocabulary)}
    return {"vocab": names | pieces, "merges": merges}


@cache
def _trained_byte_level() -> tuple[list[str], list[tuple[str, str]]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return _pieces_and_merges(tokenizer)


def _sentencepiece_bpe(specials: tuple[str, ...]) -> Tokenizer:
    pieces, merges = _trained_sentencepiece()
    vocabulary = {name: i for i, name in enumerate((*specials, *_BYTES, *pieces))}
    model = models.BPE(
        vocab=vocabulary,
        merges=merges,
        unk_token=specials[Slot.UNK],
        fuse_unk=True,
        byte_fallback=True,
    )
    return _with_metaspace(Tokenizer(model))


@cache
def _trained_sentencepiece() -> tuple[list[str], list[tuple[str, str]]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - SPECIALS - len(_BYTES), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return _pieces_and_merges(tokenizer)


def _unigram(specials: tuple[str, ...]) -> Tokenizer:
    scored: list[tuple[str, float]] = [(name, 0.0) for name in specials]
    scored += [(piece, _BYTE_SCORE) for piece in _BYTES]
    scored += _scored_pieces()
    return _with_metaspace(Tokenizer(models.Unigram(scored, int(Slot.UNK), byte_fallback=True)))


@cache
def _scored_pieces() -> list[tuple[str, float]]:
    """Learned pieces with the log of how often each occurs.

    The library's own Unigram trainer gives other pieces at every run; a twin needs the same bytes.
    """
    pieces, _ = _trained_sentencepiece()
    text = "".join(_METASPACE + line.replace(" ", _METASPACE) for line in corpus())
    return [(piece, round(math.log(max(1, text.count(piece)) / len(text)), 6)) for piece in pieces]


def _with_metaspace(tokenizer: Tokenizer) -> Tokenizer:
    """Spaces become `▁`, one is put before the text, and decoding takes both back."""
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(_METASPACE), normalizers.Replace(" ", _METASPACE)]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(_METASPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


def _pieces_and_merges(tokenizer: Tokenizer) -> tuple[list[str], list[tuple[str, str]]]:
    model = json.loads(tokenizer.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return pieces, [(left, right) for left, right in model["merges"]]


_BUILDERS = {
    TokenizerKind.BYTE_LEVEL_BPE: _byte_level_bpe,
    TokenizerKind.SENTENCEPIECE_BPE: _sentencepiece_bpe,
    TokenizerKind.UNIGRAM: _unigram,
}
