"""What the special tokens of a family are called, and which of them are put around a text.

Names are the one thing a config does not tell. A style is chosen by facts of the entry (family,
kind of tokenizer, whether text begins and ends with one token); for a family without a style of
its own the last ones, one a kind, hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from compat.registry.spec import TokenizerKind
from compat.weights.twin.chat_template import Turns
from compat.weights.twin.slots import SPECIALS, Slot


@dataclass(frozen=True)
class Style:
    """Names by slot and what a tokenizer does with them."""

    names: Mapping[Slot, str]
    families: tuple[str, ...] = ()
    kind: TokenizerKind | None = None
    begins_as_it_ends: bool | None = None
    """True: only where bos and eos are one id; False: only where they differ."""
    several_ends: bool | None = None
    """True: only where the config lists several ids that end a text."""
    prefix: tuple[Slot, ...] = ()
    suffix: tuple[Slot, ...] = ()
    roles: Mapping[str, Slot] = field(default_factory=dict)
    """Roles that a tokenizer announces (`bos`, `eos`, `pad`, `unk`, `mask`) and their slots."""
    padding_side: Literal["left", "right"] = "right"
    turns: Turns = Turns.PLAIN

    def specials(self) -> list[str]:
        """The name of every slot, by id."""
        named = {int(slot): name for slot, name in ({Slot.PAD: "<pad>"} | dict(self.names)).items()}
        return [named.get(index, f"<|reserved_{index}|>") for index in range(SPECIALS)]

    def fits(self, family: str, kind: TokenizerKind, facts: TextEnds) -> bool:
        """Whether the style is meant for such an entry."""
        return (
            (not self.families or family in self.families)
            and self.kind in (None, kind)
            and self.begins_as_it_ends in (None, facts.begins_as_it_ends)
            and self.several_ends in (None, facts.several_ends)
        )


@dataclass(frozen=True)
class TextEnds:
    """What a config says of the ids that begin and end a text."""

    begins_as_it_ends: bool
    several_ends: bool

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> TextEnds:
        """Read them off the entry's config."""
        begin, end = config.get("bos_token_id"), config.get("eos_token_id")
        several = isinstance(end, list | tuple) and len(end) > 1
        return cls(begin == end and begin is not None, several)


_BPE = TokenizerKind.BYTE_LEVEL_BPE
_SENTENCEPIECE = TokenizerKind.SENTENCEPIECE_BPE
_EOS_FOR_ALL = {"bos": Slot.EOS, "eos": Slot.EOS, "unk": Slot.EOS}
_FULL = {"bos": Slot.BOS, "eos": Slot.EOS, "pad": Slot.PAD, "unk": Slot.UNK}
_CHATML = {Slot.TURN_START: "<|im_start|>", Slot.TURN_END: "<|im_end|>"}
_HEADERS = {
    Slot.BOS: "<|begin_of_text|>",
    Slot.PAD: "<|finetune_right_pad_id|>",
    Slot.TURN_START: "<|start_header_id|>",
    Slot.TURN_MIDDLE: "<|end_header_id|>",
}
_ANGLES = {Slot.BOS: "<s>", Slot.EOS: "</s>", Slot.UNK: "<unk>"}
_PADDED_ANGLES = _ANGLES | {Slot.PAD: "<pad>"}

STYLES: tuple[Style, ...] = (
    Style(
        families=("llama",), kind=_BPE, several_ends=True, prefix=(Slot.BOS,), turns=Turns.HEADERS,
        names=_HEADERS
        | {Slot.EOS: "<|eot_id|>", Slot.FREE_1: "<|end_of_text|>", Slot.FREE_2: "<|eom_id|>"},
        roles={"bos": Slot.BOS, "eos": Slot.EOS},
    ),
    Style(
        families=("llama",), kind=_BPE, prefix=(Slot.BOS,), turns=Turns.HEADERS,
        names=_HEADERS | {Slot.EOS: "<|end_of_text|>", Slot.TURN_END: "<|eot_id|>"},
        roles={"bos": Slot.BOS, "eos": Slot.EOS},
    ),
    Style(
        families=("qwen2", "qwen2_moe", "qwen3"), begins_as_it_ends=True, turns=Turns.CHATML,
        names=_CHATML | {Slot.EOS: "<|endoftext|>"},
        roles={"eos": Slot.EOS, "pad": Slot.EOS},
    ),
    Style(
        families=("qwen2", "qwen2_moe", "qwen3"), turns=Turns.CHATML,
        names={Slot.BOS: "<|endoftext|>", Slot.TURN_START: "<|im_start|>", Slot.EOS: "<|im_end|>"},
        roles={"eos": Slot.EOS, "pad": Slot.BOS},
    ),
    Style(
        families=("gemma3",), prefix=(Slot.BOS,), padding_side="left",
        names={Slot.PAD: "<pad>", Slot.EOS: "<eos>", Slot.BOS: "<bos>", Slot.UNK: "<unk>",
               Slot.IMAGE: "<image_soft_token>", Slot.IMAGE_START: "<start_of_image>",
               Slot.IMAGE_END: "<end_of_image>"},
        roles=_FULL,
    ),
    Style(
        families=("glm",), prefix=(Slot.PREFIX_1, Slot.PREFIX_2), padding_side="left",
        names={Slot.EOS: "<|endoftext|>", Slot.PREFIX_1: "[gMASK]", Slot.PREFIX_2: "<sop>"},
        roles={"eos": Slot.EOS, "pad": Slot.EOS},
    ),
    Style(
        families=("jamba",), prefix=(Slot.BOS,), padding_side="left",
        names={Slot.BOS: "<|startoftext|>", Slot.EOS: "<|endoftext|>", Slot.PAD: "<|pad|>",
               Slot.UNK: "<|unk|>"},
        roles=_FULL,
    ),
    Style(
        families=("deepseek_v2",), prefix=(Slot.BOS,),
        names={Slot.BOS: "<｜begin▁of▁sentence｜>", Slot.EOS: "<｜end▁of▁sentence｜>"},  # noqa: RUF001
        roles={"bos": Slot.BOS, "eos": Slot.EOS, "pad": Slot.EOS},
    ),
    Style(
        families=("gpt_oss",), padding_side="left", turns=Turns.CHANNELS,
        names={Slot.BOS: "<|startoftext|>", Slot.EOS: "<|return|>", Slot.PAD: "<|endoftext|>",
               Slot.TURN_START: "<|start|>", Slot.TURN_MIDDLE: "<|message|>",
               Slot.TURN_END: "<|end|>"},
        roles={"bos": Slot.BOS, "eos": Slot.EOS, "pad": Slot.PAD},
    ),
    Style(
        families=("olmo2", "olmo3", "dbrx"),
        names={Slot.EOS: "<|endoftext|>", Slot.PAD: "<|pad|>"},
        roles={"bos": Slot.EOS, "eos": Slot.EOS, "pad": Slot.PAD},
    ),
    Style(
        families=("opt",), prefix=(Slot.EOS,),
        names={Slot.EOS: "</s>", Slot.PAD: "<pad>"},
        roles=_EOS_FOR_ALL | {"pad": Slot.PAD},
    ),
    Style(families=("bloom",), names=_PADDED_ANGLES, roles=_FULL, padding_side="left"),
    Style(
        families=("apertus",), prefix=(Slot.BOS,), names=_PADDED_ANGLES, roles=_FULL
    ),
    Style(
        families=("llava",), prefix=(Slot.BOS,), padding_side="left", turns=Turns.INSTRUCTIONS,
        names=_PADDED_ANGLES
        | {Slot.IMAGE: "[IMG]", Slot.TURN_START: "[INST]", Slot.TURN_END: "[/INST]"},
        roles=_FULL,
    ),
    Style(
        families=("mistral", "mixtral"), kind=_SENTENCEPIECE, prefix=(Slot.BOS,),
        padding_side="left", turns=Turns.INSTRUCTIONS,
        names=_ANGLES | {Slot.TURN_START: "[INST]", Slot.TURN_END: "[/INST]"},
        roles={"bos": Slot.BOS, "eos": Slot.EOS, "unk": Slot.UNK},
    ),
    Style(
        families=("bart",), prefix=(Slot.BOS,), suffix=(Slot.EOS,),
        names=_PADDED_ANGLES | {Slot.MASK: "<mask>"},
        roles=_FULL | {"mask": Slot.MASK},
    ),
    Style(kind=_BPE, names={Slot.EOS: "<|endoftext|>"}, roles=_EOS_FOR_ALL),
    Style(
        kind=_SENTENCEPIECE, prefix=(Slot.BOS,), names=_ANGLES,
        roles={"bos": Slot.BOS, "eos": Slot.EOS, "unk": Slot.UNK},
    ),
    Style(
        kind=TokenizerKind.UNIGRAM, suffix=(Slot.EOS,),
        names={Slot.PAD: "<pad>", Slot.EOS: "</s>", Slot.UNK: "<unk>"},
        roles={"eos": Slot.EOS, "pad": Slot.PAD, "unk": Slot.UNK},
    ),
)  # fmt: skip
"""In order; the first that fits holds."""


def style_of(family: str, kind: TokenizerKind, config: Mapping[str, Any]) -> Style:
    """The style of an entry."""
    facts = TextEnds.read(config)
    return next(style for style in STYLES if style.fits(family, kind, facts))
