"""Where a subject's inputs go when its weights wait elsewhere: no GPU is needed to tell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import accelerate
import pytest
import torch
from torch import nn

from compat.subject.inputs import Inputs
from compat.subject.pair import PairSubject
from compat.subject.reading import ReadingModel


class Embedded(nn.Module):
    """A model that is an embedding and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 4)
        self.head = nn.Linear(4, 8)

    def get_input_embeddings(self) -> nn.Module:
        return self.embedding

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embedding(ids))
        return logits


def device_of_inputs(model: nn.Module) -> torch.device:
    none: Any = None
    return ReadingModel(model=model, tokenizer=none, target=none, spec=none, checkpoint=none).device


@pytest.mark.parametrize("device", [torch.device("cuda", 0), torch.device("cpu")])
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_inputs_go_where_offloaded_weights_are_brought(
    device: torch.device, place: str, tmp_path: Path
) -> None:
    model = Embedded()
    execution: Any = 0 if device.type == "cuda" else device
    if place == "memory":
        accelerate.cpu_offload(model, execution_device=execution)
    else:
        accelerate.disk_offload(model, str(tmp_path), execution_device=execution)
    assert next(model.embedding.parameters()).is_meta
    assert device_of_inputs(model) == device


def test_inputs_go_to_weights_that_wait_nowhere() -> None:
    assert device_of_inputs(Embedded()) == torch.device("cpu")


def test_what_a_pair_hands_over_goes_where_the_receiver_s_tokens_are_embedded() -> None:
    # A device without data stands in for a GPU: the embedding is there, its name is not told.
    seen: list[torch.device] = []

    def logits_of_embeds(inputs: Inputs, embeds: torch.Tensor, *, grad: bool) -> torch.Tensor:
        seen.append(embeds.device)
        return torch.zeros(1, 5, 8)

    receiver = SimpleNamespace(
        device=torch.device("cpu"),
        dtype=torch.float32,
        embed=lambda own: torch.zeros(1, 3, 4, device="meta"),
        logits_of_embeds=logits_of_embeds,
    )
    pair: Any = SimpleNamespace(
        receiver=receiver, message=(Inputs.of(torch.zeros(1, 3).long()), torch.zeros(1, 3).long())
    )
    assert PairSubject.read(pair, torch.zeros(1, 2, 4)).shape == (3, 8)
    assert seen == [torch.device("meta")]
