"""A text with an image in it, made without an image processor."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from compat.subject.inputs import Inputs

if TYPE_CHECKING:
    from compat.subject.running import RunningModel

_IMAGE_TOKEN = ("image_token_id", "image_token_index")


def image_inputs(subject: RunningModel, seed: int) -> Inputs:
    """Image tokens, one for each feature that the tower gives, followed by the text's prompt.

    The pixels, (1, channels, height, width), are drawn from `seed` in [-1, 1], as processors
    normalise them.
    """
    config: Any = subject.model.config
    vision = config.vision_config
    generator = torch.Generator().manual_seed(seed)
    size, channels = vision.image_size, getattr(vision, "num_channels", 3)
    pixels = torch.rand((1, channels, size, size), generator=generator) * 2 - 1
    extra = {"pixel_values": pixels.to(next(subject.model.parameters()).dtype)}
    if "image_sizes" in subject.forward_arguments:
        extra["image_sizes"] = torch.tensor([[size, size]])
    token = next(getattr(config, name) for name in _IMAGE_TOKEN if hasattr(config, name))
    marks = torch.full((1, _features(subject, extra)), token)
    ids = torch.cat([marks, subject.text.prompt().ids], dim=1)
    return replace(Inputs.of(ids), extra=extra)


def _features(subject: RunningModel, extra: dict[str, torch.Tensor]) -> int:
    """How many features the tower puts into the text for one image."""
    arguments = {name: tensor.to(subject.device) for name, tensor in extra.items()}
    with torch.no_grad():
        given = subject.model.get_image_features(**arguments)  # type: ignore[operator]
    features = getattr(given, "pooler_output", given)
    if isinstance(features, tuple | list):
        return sum(int(part.shape[-2]) for part in features)
    return int(features.shape[-2])
