"""The shape of `models.yaml`: what is known of a model without the network, frozen and typed."""

from __future__ import annotations

import re
from copy import deepcopy
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from compat.outcomes import Blame, Outcome, Stage

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[-._][a-z0-9]+)*$")]

ModeName = Literal[
    "fp32", "bf16", "fp16", "int8", "nf4", "fp4", "disk-offload", "cpu-offload", "auto", "native"
]
"""The modes a model may be restricted to: `compat.targets.Mode`, a floor above, less `meta`."""

ARROW = "->"
"""Between the ids of a pair's models."""


def _checked_regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _checked_specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(f"not a version specifier such as '>=5.23,<6': {text!r}") from error
    return text


def _with_model_type(config: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(config.get("model_type"), str):
        raise ValueError("missing key 'model_type', which says what transformers builds")
    return config


Config = Annotated[dict[str, Any], AfterValidator(_with_model_type)]
Regex = Annotated[str, AfterValidator(_checked_regex)]
Specifier = Annotated[str, AfterValidator(_checked_specifier)]


class UnknownModelError(LookupError):
    """No model of the registry has that id, alias or slug."""


class Frozen(BaseModel):
    """Base of every registry value: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ModelClass(StrEnum):
    """Which auto class of transformers loads the model."""

    CAUSAL_LM = "causal-lm"
    SEQ2SEQ = "seq2seq"
    IMAGE_TEXT = "image-text"


class TokenizerKind(StrEnum):
    """How the model's own tokenizer cuts text; a twin's tokenizer is trained in the same kind."""

    BYTE_LEVEL_BPE = "byte-level-bpe"
    SENTENCEPIECE_BPE = "sentencepiece-bpe"
    UNIGRAM = "unigram"


class BlockFacts(Frozen):
    """A stack of blocks: how many, of what class, and where transformers keeps them."""

    count: int = Field(gt=0)
    block_class: str = Field(
        alias="class", description="class name of a block; joined by + where the stack mixes kinds"
    )
    path: str = Field(description="module path of the list, reported and never relied on")

    @property
    def classes(self) -> frozenset[str]:
        """Names of every class that occurs in the stack."""
        return frozenset(self.block_class.split("+"))


class WidthFacts(Frozen):
    """Widths of the (text) decoder."""

    hidden: int = Field(gt=0)
    vocabulary: int = Field(gt=0)
    heads: int | None = Field(default=None, description="query heads; null without attention")
    key_value_heads: int | None = None
    head: int | None = Field(default=None, description="width of one head's value output")


class CheckpointFacts(Frozen):
    """The checkpoint as stored on the hub. Sizes in GB are 10^9 bytes."""

    dtype: str = Field(description="float32, bfloat16, float16, or mxfp4")
    gb: float = Field(gt=0)
    quantization: str | None = Field(
        default=None, description="quant_method where the stored weights are quantized"
    )
    gated: Literal[False, "auto", "manual"] | None = Field(
        default=False, description="null where it is not known"
    )
    license: str | None = Field(description="tag on the hub; null where there is none")
    revision: str | None = Field(default=None, description="commit; null until resolved on a hub")


class Evidence(Frozen):
    """Where the facts come from."""

    confidence: Literal["verified", "memory", "unsure"]
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class When(Frozen):
    """Conditions of this machine under which a known failure is expected; all must hold."""

    packages: dict[str, Specifier] = Field(
        default_factory=dict, description="package -> version specifier, such as '>=5.23,<6'"
    )
    cpu_flag: str | None = Field(default=None, description="such as avx512_bf16")
    cuda_capability: Specifier | None = Field(default=None, description="specifier, such as '<9.0'")


class Raises(Frozen):
    """The exception that a known failure shows."""

    type: str = Field(description="class name, such as AssertionError or RuntimeError")
    match: Regex = Field(description="regular expression searched in the message")


class KnownFailure(Frozen):
    """A strict expectation of failure. Patterns are globs over case coordinates."""

    model: str = Field(default="*", description="only in the rows for several models")
    family: str = Field(default="*", description="only in the rows for several models")
    check: str
    mode: str = "*"
    device: str = "*"
    weights: str = "*"
    wrapper: str = "*"
    outcome: Literal[Outcome.FAILED, Outcome.CRASHED, Outcome.TIMEOUT] = Outcome.FAILED
    raises: Raises | None = Field(default=None, description="obligatory where outcome is failed")
    blame: Blame
    reason: str
    issue: str | None = Field(default=None, description="address of the upstream report")
    when: When = When()
    line: int = Field(default=0, exclude=True, description="line in models.yaml; set on reading")

    @model_validator(mode="after")
    def _failed_says_what_it_raises(self) -> Self:
        if self.outcome is Outcome.FAILED and self.raises is None:
            raise ValueError(
                "missing key 'raises' (type and match): obligatory where outcome is failed"
            )
        return self


def _default_slug(given: dict[str, Any]) -> str:
    name: str = given["id"].rpartition("/")[2]
    return name.lower()


class ModelSpec(Frozen):
    """One model of the registry."""

    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="organisation/name on the hub")
    slug: Slug = Field(
        default_factory=_default_slug,
        validate_default=True,
        description="short name in test ids; unique; by default the name part of `id`, lower-case",
    )
    aliases: tuple[str, ...] = ()
    family: str
    model_class: ModelClass = Field(alias="class")
    architecture: str = Field(description="the class that transformers builds")
    native: bool = Field(default=True, description="false: transformers has no class of its own")
    trust_remote_code: bool = Field(
        default=False, description="somebody has read the code of the pinned revision"
    )
    trust_pickle: bool = Field(
        default=False, description="somebody trusts the pickled weights of the pinned revision"
    )
    config: Config = Field(description="keys of the hub's config.json, with model_type")
    config_fix: dict[str, Any] = Field(
        default_factory=dict, description="what transformers needs besides, with the note why"
    )
    blocks: BlockFacts = Field(description="decoder blocks")
    encoder: BlockFacts | None = None
    vision: BlockFacts | None = None
    widths: WidthFacts
    parameters: int = Field(gt=0, description="tied weights counted once")
    checkpoint: CheckpointFacts
    tokenizer: TokenizerKind
    chat_template: bool | None = Field(default=None, description="null where it is not known")
    requires: tuple[str, ...] = Field(default=(), description="packages it can't be loaded without")
    optional: tuple[str, ...] = Field(default=(), description="packages that make it faster")
    modes: tuple[ModeName, ...] | None = Field(default=None, description="default: every mode")
    max_loss: float | None = Field(default=None, description="bound for hub weights' loss, nats")
    deadlines: dict[Literal[Stage.WEIGHTS, Stage.LOAD, Stage.CHECK], PositiveFloat] = Field(
        default_factory=dict, description="seconds that a stage may take, where that is special"
    )
    known_failures: tuple[KnownFailure, ...] = ()
    evidence: Evidence
    line: int = Field(default=0, exclude=True, description="line in models.yaml; set on reading")

    @property
    def models(self) -> tuple[ModelSpec]:
        """Itself: what is loaded for it, as a pair has two of them."""
        return (self,)

    @property
    def model_type(self) -> str:
        """The `model_type` of its config."""
        return str(self.config["model_type"])

    def config_arguments(self) -> dict[str, Any]:
        """`config` under `config_fix`, less `model_type`: for `AutoConfig.for_model`.

        A deep copy, for transformers writes into nested values such as `rope_scaling`.
        """
        arguments = deepcopy({**self.config, **self.config_fix})
        del arguments["model_type"]
        return arguments


class PairRow(Frozen):
    """Two models of the registry, for latent communication."""

    source: str = Field(description="id of the model whose states are carried over")
    target: str = Field(description="id of the model that reads them through its inputs_embeds")
    known_failures: tuple[KnownFailure, ...] = ()
    line: int = Field(default=0, exclude=True, description="line in models.yaml; set on reading")

    @property
    def id(self) -> str:
        """`source->target`."""
        return f"{self.source}{ARROW}{self.target}"


class Registry(Frozen):
    """All of `models.yaml`."""

    schema_version: Literal[1] = Field(alias="schema")
    models: tuple[ModelSpec, ...]
    pairs: tuple[PairRow, ...] = ()
    known_failures: tuple[KnownFailure, ...] = Field(
        default=(), description="rows for several models, by `model` and `family` globs"
    )

    @cached_property
    def by_name(self) -> dict[str, ModelSpec]:
        """Every model by its id, its aliases and its slug."""
        return {name: spec for spec in self.models for name in (spec.slug, *spec.aliases, spec.id)}

    def by_id(self, name: str) -> ModelSpec:
        """The model of that id, alias or slug. Raises UnknownModelError with what is near."""
        try:
            return self.by_name[name]
        except KeyError:
            near = get_close_matches(name, self.by_name, n=3, cutoff=0.6)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise UnknownModelError(f"no model {name!r} in the registry{hint}") from None
