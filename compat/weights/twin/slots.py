"""Fixed ids of special tokens.

Every twin tokenizer keeps its first `SPECIALS` ids for special tokens, one slot a role, whatever
the tokens are called. Models of one shape can so share weights while each keeps its own names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any

SPECIALS = 32
"""Ids that no text is ever encoded to."""


class Slot(IntEnum):
    """The id of a role. From FREE_1 on, ids are given out in the order that a config names them."""

    PAD = 0
    EOS = 1
    BOS = 2
    UNK = 3
    MASK = 4
    PREFIX_1 = 5
    PREFIX_2 = 6
    TURN_START = 8
    TURN_MIDDLE = 9
    TURN_END = 10
    TURN_ROLE = 11
    IMAGE = 12
    IMAGE_START = 13
    IMAGE_END = 14
    FREE_1 = 16
    FREE_2 = 17


_ROLES: tuple[tuple[str, Slot], ...] = (
    ("eos_token_id", Slot.EOS),
    ("bos_token_id", Slot.BOS),
    ("pad_token_id", Slot.PAD),
    ("unk_token_id", Slot.UNK),
    ("mask_token_id", Slot.MASK),
    ("image_token_index", Slot.IMAGE),
    ("image_token_id", Slot.IMAGE),
    ("boi_token_index", Slot.IMAGE_START),
    ("boi_token_id", Slot.IMAGE_START),
    ("eoi_token_index", Slot.IMAGE_END),
    ("eoi_token_id", Slot.IMAGE_END),
)
"""Fields in the order in which they claim an id; a later field with the same id shares its slot."""


def is_token_field(name: object) -> bool:
    """Whether a config field holds a token id or a list of them."""
    return isinstance(name, str) and name.endswith(("token_id", "token_ids", "token_index"))


class SlotMap:
    """Which slot each token id of one full-size model is given."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Read every token field of `config` and of the configs nested in it."""
        self._slots: dict[int, int] = {}
        fields = list(_token_fields(config))
        for role, slot in _ROLES:
            for name, ids in fields:
                if name == role and ids:
                    self._claim(ids[0], slot)
        for _, ids in fields:
            for token in ids:
                self._claim(token, None)

    def _claim(self, token: int, slot: Slot | None) -> None:
        if token in self._slots:
            return
        taken = set(self._slots.values())
        if slot is None or slot in taken:
            slot_id = next(free for free in range(Slot.FREE_1, SPECIALS) if free not in taken)
        else:
            slot_id = int(slot)
        self._slots[token] = slot_id

    def __getitem__(self, token: int) -> int:
        """The slot of full-size id `token`. Raises KeyError for an id that no field named."""
        return self._slots[token]

    def map(self, value: Any) -> Any:
        """A token field's value with every id replaced by its slot."""
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int):
            return self._slots[value]
        return [self._slots[token] for token in value]


def _token_fields(config: Mapping[str, Any]) -> Iterator[tuple[str, list[int]]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _token_fields(value)
        elif is_token_field(name):
            if isinstance(value, int) and not isinstance(value, bool):
                yield name, [value]
            elif isinstance(value, list | tuple):
                yield name, [token for token in value if isinstance(token, int)]
