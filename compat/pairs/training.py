"""A few steps of training an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

RATE = 1e-3
"""AdamW's learning rate for vectors, and for matrices that sum over `BASE_WIDTH` inputs."""
BASE_WIDTH = 64


def train(
    adapter: nn.Module, loss: Callable[[], Tensor], *, steps: int, rate: float = RATE
) -> list[float]:
    """Train an adapter and nothing else; returns the loss before each step and after the last.

    `loss` computes it anew, a scalar whose graph leads to the adapter.
    """
    parameters = list(adapter.parameters())
    optimizer = torch.optim.AdamW(_groups(parameters, rate), weight_decay=0.0)
    losses = []
    for _ in range(steps):
        value = loss()
        losses.append(float(value.detach()))
        # Gradients of the adapter only: what else in the graph asks for one gets none.
        gradients = torch.autograd.grad(value, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
    with torch.no_grad():
        return [*losses, float(loss())]


def _groups(parameters: list[nn.Parameter], rate: float) -> Iterator[dict[str, Any]]:
    """Rates by which a step changes a matrix's output alike, however many inputs it sums over."""
    for parameter in parameters:
        inputs = parameter.shape[-1] if parameter.dim() > 1 else BASE_WIDTH
        yield {"params": [parameter], "lr": rate * BASE_WIDTH / inputs}
