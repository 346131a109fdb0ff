"""A twin's tokenizer is of the model's own kind, small, and loses no text."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from compat.registry.spec import ModelSpec, TokenizerKind
from compat.weights.twin.draft import Draft
from compat.weights.twin.lesson import lesson
from compat.weights.twin.sizes import VOCABULARY
from compat.weights.twin.slots import SPECIALS, Slot, SlotMap
from compat.weights.twin.styles import STYLES
from compat.weights.twin.tokenizer import build_tokenizer

SpecOf = Callable[[str], ModelSpec]

NAMES = [f"<|special_{index}|>" for index in range(SPECIALS)]
TOKENIZERS = {kind: build_tokenizer(kind, NAMES) for kind in TokenizerKind}
METASPACE = "\u2581"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=METASPACE))

every_kind = pytest.mark.parametrize("kind", list(TokenizerKind))


@pytest.fixture
def tokenizer(kind: TokenizerKind) -> Tokenizer:
    return TOKENIZERS[kind]


@every_kind
def test_it_is_of_its_kind(kind: TokenizerKind, tokenizer: Tokenizer) -> None:
    model = models.Unigram if kind is TokenizerKind.UNIGRAM else models.BPE
    assert isinstance(tokenizer.model, model)


@every_kind
def test_it_fills_the_vocabulary(kind: TokenizerKind, tokenizer: Tokenizer) -> None:
    assert tokenizer.get_vocab_size() == VOCABULARY


@every_kind
def test_specials_have_the_first_ids(kind: TokenizerKind, tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_to_id(name) for name in NAMES] == list(range(SPECIALS))


@every_kind
@settings(max_examples=60, derandomize=True, deadline=None)
@given(text=TEXT)
def test_any_text_survives_a_round_trip(kind: TokenizerKind, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@every_kind
def test_no_text_is_encoded_to_a_special(kind: TokenizerKind, tokenizer: Tokenizer) -> None:
    assert min(tokenizer.encode("The \u65e5\u672c \U0001f642 \x00 \u00e9 unseen").ids) >= SPECIALS


@every_kind
def test_words_of_the_lesson_are_cut_into_few_pieces(
    kind: TokenizerKind, tokenizer: Tokenizer
) -> None:
    taught = lesson(encoder_decoder=False)
    assert 50 <= len(tokenizer.encode(taught.prompt + taught.continuation).ids) <= 100


def test_every_run_trains_the_same_tokenizers() -> None:
    program = (
        "import hashlib, sys\n"
        "from compat.registry.spec import TokenizerKind\n"
        "from compat.weights.twin.tokenizer import build_tokenizer\n"
        "names = [f'<|special_{index}|>' for index in range(32)]\n"
        "texts = [build_tokenizer(kind, names).to_str() for kind in TokenizerKind]\n"
        "print(hashlib.sha256(''.join(texts).encode()).hexdigest())"
    )
    there = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    here = "".join(TOKENIZERS[kind].to_str() for kind in TokenizerKind)
    assert there.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_a_wrong_number_of_specials_is_refused() -> None:
    with pytest.raises(ValueError, match="3 special tokens"):
        build_tokenizer(TokenizerKind.UNIGRAM, ["a", "b", "c"])


@pytest.mark.parametrize(
    ("slug", "first", "last"),
    [
        ("gpt2", None, None),
        ("qwen2.5-1.5b", None, None),
        ("llama-3.2-1b", "<|begin_of_text|>", None),
        ("llama-2-7b-hf", "<s>", None),
        ("mistral-7b-v0.3", "<s>", None),
        ("gemma-3-270m", "<bos>", None),
        ("opt-125m", "</s>", None),
        ("glm-4-9b-hf", "[gMASK]", None),
        ("t5-small", None, "</s>"),
        ("bart-base", "<s>", "</s>"),
    ],
)
def test_specials_are_put_around_a_text_as_the_family_does(
    spec_of: SpecOf, slug: str, first: str | None, last: str | None
) -> None:
    tokenizer = Draft.of(spec_of(slug)).tokenizer
    tokens = tokenizer.encode("text").tokens
    specials = [tokenizer.id_to_token(index) for index in range(SPECIALS)]
    assert (tokens[0] if tokens[0] in specials else None) == first
    assert (tokens[-1] if tokens[-1] in specials else None) == last


def test_the_last_styles_fit_any_family_whatever_its_kind() -> None:
    kinds = {style.kind for style in STYLES if not style.families}
    assert kinds == set(TokenizerKind)


def test_no_style_gives_two_slots_one_name() -> None:
    for style in STYLES:
        assert len(set(style.specials())) == SPECIALS


def test_ids_that_are_one_in_the_model_share_a_slot() -> None:
    slots = SlotMap({"bos_token_id": 50256, "eos_token_id": 50256, "pad_token_id": None})
    assert slots.map(50256) == Slot.EOS
    assert slots.map(None) is None


def test_the_first_of_several_ends_is_the_tokenizers() -> None:
    slots = SlotMap({"bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009]})
    assert slots.map([128001, 128008, 128009]) == [Slot.EOS, Slot.FREE_1, Slot.FREE_2]
    assert slots.map(128000) == Slot.BOS


def test_ids_of_nested_configs_are_given_slots_too() -> None:
    slots = SlotMap({"image_token_index": 262144, "text_config": {"eos_token_id": 1}})
    assert (slots[262144], slots[1]) == (Slot.IMAGE, Slot.EOS)


def test_an_id_that_no_field_names_has_no_slot() -> None:
    with pytest.raises(KeyError):
        SlotMap({"eos_token_id": 2})[7]
