"""Targets and cases, and the two spellings of their ids.

A case id, `model/weights/device/mode/wrapper/check`, is what records and reports use. A node id
part, `slug-weights-device-mode[-wrapper]-check`, is what pytest shows between brackets. Neither
ever changes for a given case.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from compat.targets.mode import Mode

BARE = "bare"


class Weights(StrEnum):
    """Where a checkpoint comes from. Evidence of different weights is never mixed."""

    HUB = "hub"
    TWIN = "twin"
    LOCAL = "local"
    CONFIG = "config"
    """No checkpoint: the registry's config alone, for the facts check."""


class Device(StrEnum):
    """Where a target runs."""

    CPU = "cpu"
    GPU = "gpu"


class Kind(StrEnum):
    """What a target is about, and a check."""

    MODEL = "model"
    PAIR = "pair"

    @classmethod
    def of(cls, model: str) -> Kind:
        """The kind of what has this id; no hub id has an arrow in it."""
        from compat.registry.spec import ARROW  # pydantic is not for runs without a target

        return cls.PAIR if ARROW in model else cls.MODEL


@dataclass(frozen=True)
class Target:
    """Model x weights x device x mode x wrapper: the unit that is loaded once.

    In the place of a model may stand a pair: both its models are loaded in the same way.
    """

    model: str
    """Hub id (`organisation/name`); for local weights the checkpoint folder's name; of a pair
    `source->target`."""
    slug: str
    weights: Weights
    device: Device
    mode: Mode
    wrapper: str = BARE

    @property
    def kind(self) -> Kind:
        """Whether it is a model or a pair."""
        return Kind.of(self.model)

    @property
    def id(self) -> str:
        """`model/weights/device/mode/wrapper`."""
        return f"{self.model}/{self.weights}/{self.device}/{self.mode}/{self.wrapper}"

    @property
    def load_part(self) -> str:
        """`slug-weights-device-mode`: the same for targets that share a load."""
        return f"{self.slug}-{self.weights}-{self.device}-{self.mode}"

    @property
    def node_part(self) -> str:
        """`slug-weights-device-mode`, followed by the wrapper unless it is bare."""
        return self.load_part if self.wrapper == BARE else f"{self.load_part}-{self.wrapper}"

    @property
    def load_key(self) -> tuple[str, Weights, Device, Mode]:
        """Targets that differ in the wrapper alone share a load."""
        return (self.model, self.weights, self.device, self.mode)


@dataclass(frozen=True)
class Case:
    """Target x check: one pytest item."""

    target: Target
    check: str

    @property
    def id(self) -> str:
        """`model/weights/device/mode/wrapper/check`, for ever."""
        return f"{self.target.id}/{self.check}"

    @property
    def node_part(self) -> str:
        """What stands between the brackets of the pytest node id."""
        return f"{self.target.node_part}-{self.check}"


@dataclass(frozen=True)
class CaseId:
    """A case id taken apart again."""

    model: str
    weights: Weights
    device: Device
    mode: Mode
    wrapper: str
    check: str

    @classmethod
    def parse(cls, text: str) -> CaseId:
        """Take `text` apart from the right, for a model's name may hold slashes.

        Raises ValueError for anything that is not a case id.
        """
        parts = text.rsplit("/", 5)
        if len(parts) != 6:
            raise ValueError(f"not a case id: {text!r}")
        model, weights, device, mode, wrapper, check = parts
        return cls(model, Weights(weights), Device(device), Mode(mode), wrapper, check)

    @property
    def target(self) -> str:
        """The target's id."""
        return f"{self.model}/{self.weights}/{self.device}/{self.mode}/{self.wrapper}"
