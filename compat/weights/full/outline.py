"""What a full-size checkpoint is to hold, worked out on `meta`: no weight is allocated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import split_torch_state_dict_into_shards
from torch import Tensor
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.registry.spec import ModelClass, ModelSpec
from compat.weights.twin.slots import is_token_field

AUTO_CLASSES: Mapping[ModelClass, str] = {
    ModelClass.CAUSAL_LM: "AutoModelForCausalLM",
    ModelClass.SEQ2SEQ: "AutoModelForSeq2SeqLM",
    ModelClass.IMAGE_TEXT: "AutoModelForImageTextToText",
}


@dataclass(frozen=True)
class Outline:
    """A model without weights, and which of its weights goes into which file."""

    model: PreTrainedModel
    """On the `meta` device, in the dtype that its checkpoint is stored in."""
    weights: Mapping[str, Tensor]
    """Every parameter and stored buffer by the model's own name; tied ones once. All `meta`."""
    small: PreTrainedModel
    """A model of the same class, as small as a twin, as its constructor leaves it."""
    files: Mapping[str, tuple[str, ...]]
    """File name -> names of weights, in the model's order."""

    @classmethod
    def of(cls, spec: ModelSpec, twin: Path, file_bytes: int) -> Outline:
        """Build `spec` at full size, with the token ids of the tokenizer in `twin`.

        Raises CannotRun where its checkpoint is stored in a format that is not written here.
        """
        config = full_config(spec, twin)
        auto_class = getattr(transformers, AUTO_CLASSES[spec.model_class])
        with torch.device("meta"):
            model = auto_class.from_config(config, dtype=_stored_dtype(spec))
        small = auto_class.from_config(AutoConfig.from_pretrained(twin, local_files_only=True))
        config = model.config
        config.architectures = [type(model).__name__]
        weights = stored_weights(model)
        split = split_torch_state_dict_into_shards(
            weights, filename_pattern="model{suffix}.safetensors", max_shard_size=file_bytes
        )
        files = {name: tuple(held) for name, held in split.filename_to_tensors.items()}
        return cls(model, weights, small, files)

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(map(tensor_bytes, self.weights.values()))

    @property
    def parameters(self) -> int:
        """Numbers in all tensors that training would change, tied ones once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def file_size(self, file: str) -> int:
        """Bytes of the tensors that go into a file."""
        return sum(tensor_bytes(self.weights[name]) for name in self.files[file])

    def stored_in(self, file: str) -> dict[str, Tensor]:
        """The tensors of a file under the names that a checkpoint has for them, all `meta`."""
        stored: dict[str, Tensor] = {}
        for name in self.files[file]:
            stored |= self.as_stored(name, self.weights[name])
        return stored

    def as_stored(self, name: str, weight: Tensor) -> dict[str, Tensor]:
        """What checkpoints of this model hold for one of its weights.

        transformers fuses experts in memory; in a checkpoint each is a matrix of its own. Loading
        has to fuse them again, which is part of what loading takes of memory.
        """
        stored: dict[str, Tensor] = revert_weight_conversion(self.model, {name: weight})
        return stored


def full_config(spec: ModelSpec, twin: Path) -> PretrainedConfig:
    """The model's own config, but for the ids of special tokens: those of the twin's tokenizer."""
    config = AutoConfig.for_model(spec.model_type, **spec.config_arguments())
    _take_tokens(config, AutoConfig.from_pretrained(twin, local_files_only=True))
    return config


def stored_weights(model: PreTrainedModel) -> dict[str, Tensor]:
    """Parameters and persistent buffers of a model, tied ones once, in the model's order."""
    persistent = model.state_dict().keys()
    named: dict[str, Any] = dict(model.named_parameters())
    named |= {name: buffer for name, buffer in model.named_buffers() if name in persistent}
    return {name: weight.detach() for name, weight in named.items()}


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes of a tensor's elements, allocated or not."""
    return tensor.numel() * tensor.element_size()


def _take_tokens(config: PretrainedConfig, other: PretrainedConfig) -> None:
    for name, value in vars(other).items():
        if isinstance(value, PretrainedConfig):
            part = getattr(config, name, None)
            if isinstance(part, PretrainedConfig):
                _take_tokens(part, value)
        elif is_token_field(name):
            setattr(config, name, value)


def _stored_dtype(spec: ModelSpec) -> torch.dtype:
    dtype = getattr(torch, spec.checkpoint.dtype, None)
    if not isinstance(dtype, torch.dtype) or spec.checkpoint.quantization is not None:
        raise CannotRun(
            Reason(
                ReasonCode.NOT_APPLICABLE,
                f"{spec.id} is stored as {spec.checkpoint.dtype}, and random weights are written "
                "in plain dtypes only",
                "nothing to do: fetch the real checkpoint with --compat-download",
            )
        )
    return dtype
