"""`@sick`: declares a damage that one named check has to catch, and which checks it spares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from compat.checks.registry import load_catalogue
from compat.targets import Mode, Weights

Damage = Callable[[Any], None]
"""Damages a freshly opened subject in place."""

GPT2 = "gpt2"
LLAMA = "llama-3.2-1b"
LLAMA_2 = "llama-2-7b-hf"
LLAMA_CHAT = "llama-3.2-1b-instruct"
JAMBA = "ai21-jamba-1.5-mini"
T5 = "t5-small"
BLOOM = "bloom-560m"
SLIDING = "gemma-3-270m"
GPT_OSS = "gpt-oss-20b"
GEMMA_WITH_VISION = "gemma-3-4b-pt"
LLAMA_TO_MISTRAL = "llama-3.2-1b-instruct->mistral-7b-instruct-v0.3"

SIGNS: dict[str, tuple[str, ...]] = {
    "anatomy": ("blocks_found", "widths_as_announced"),
    "tokenizer": ("special_tokens_present", "pads_on_both_sides"),
    "precision": ("dtype_as_asked", "footprint_as_predicted"),
    "persistence": ("tokenizer_survives_saving", "configs_survive_saving"),
    "forward": ("logits_finite", "recites_teacher_forced"),
    "generation": ("recites_freely",),
    "hooks": ("usable_block_found", "captured_equals_hidden_states"),
    "gates": ("gates_leave_nothing_behind",),
    "calibration": ("mean_activation_hides_no_nan",),
    "embeds": ("embeds_equal_ids",),
    "attention": ("attention_weights_respect_masks",),
    "memory": ("cache_as_predicted",),
    "pairs": ("pair_has_its_parts",),
}
"""By which an area is seen to be well: few and cheap, for they run on every damaged model."""

AT_THE_BOTTOM = frozenset({"loading", "anatomy", "forward", "precision", "offload"})
"""Areas whose faults show wherever the model is run."""
NEVER_RUN = ("anatomy", "tokenizer", "precision", "persistence")
"""Areas whose signs do not ask for what the model computes."""


@dataclass(frozen=True, order=True)
class Patient:
    """A healthy subject to be damaged: a model of the registry, how it is loaded and from what."""

    model: str
    mode: Mode = Mode.FP32
    weights: Weights = Weights.TWIN

    def __str__(self) -> str:
        return f"{self.model}-{self.weights}-{self.mode}"


@dataclass(frozen=True)
class Sickness:
    """A damage, the check that catches it, and checks that stay green."""

    check: str
    name: str
    patient: Patient
    damage: Damage
    wrong: str
    """What is wrong with the model, in one sentence: the damage's docstring."""
    says: str
    """Regular expression for what the check says: it tells which of its assertions failed."""
    spares: tuple[str, ...]
    """Checks that must pass on the damaged model: it is this fault that was caught."""

    @property
    def id(self) -> str:
        """What pytest shows between brackets."""
        return f"{self.check}-{self.name}-{self.patient.model}-{self.patient.mode}"


class Corpus:
    """Every sickness, in order of declaration."""

    def __init__(self) -> None:
        self._sicknesses: dict[str, Sickness] = {}

    def add(self, sickness: Sickness) -> None:
        """Add a sickness. Raises ValueError where its id is taken."""
        if sickness.id in self._sicknesses:
            raise ValueError(f"the sickness {sickness.id} is declared twice")
        self._sicknesses[sickness.id] = sickness

    def __iter__(self) -> Iterator[Sickness]:
        return iter(self._sicknesses.values())

    def __len__(self) -> int:
        return len(self._sicknesses)


CORPUS = Corpus()
"""What `@sick` adds to: filled by imports, never changed by a session."""


def sick(
    check: str,
    *,
    says: str,
    model: str = LLAMA,
    mode: Mode = Mode.FP32,
    weights: Weights = Weights.TWIN,
    spares: Collection[str] = (),
    shows_in: Collection[str] = (),
) -> Callable[[Damage], Damage]:
    """Declare that `check` catches the decorated damage, and by which of its assertions.

    The signs of the other areas have to stay green, where they apply: of all areas, or, for a
    fault at the bottom, of those that do not run the model. `shows_in` names areas (or checks)
    that the damage may show in as well, `spares` further checks that it must not show in: those
    that look at nearly the same thing and do not see it. One damage may be declared for several
    checks. Raises ValueError without a docstring, or for a name that is no area and no check.
    """

    def declare(damage: Damage) -> Damage:
        wrong = " ".join((damage.__doc__ or "").split())
        if not wrong:
            raise ValueError(f"{damage.__name__} does not say what is wrong with the model")
        patient = Patient(model, mode, weights)
        spared = _spared(check, spares, shows_in)
        CORPUS.add(Sickness(check, damage.__name__, patient, damage, wrong, says, spared))
        return damage

    return declare


def _spared(check: str, spares: Collection[str], shows_in: Collection[str]) -> tuple[str, ...]:
    checks = load_catalogue()
    for name in (*spares, *shows_in):
        if name not in SIGNS and name not in checks:
            raise ValueError(f"{name} is no area with signs and no check")
    own = checks[check].area
    areas = [area for area in SIGNS if area != own and area not in shows_in]
    if own in AT_THE_BOTTOM:
        areas = [area for area in areas if area in NEVER_RUN]
    signs = [sign for area in areas for sign in SIGNS[area] if sign not in shows_in]
    return tuple(dict.fromkeys((*signs, *spares)))
