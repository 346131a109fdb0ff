"""The weight matrices that a lesson runs through, and what becomes of it without one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from compat.weights.twin.exercise import Exercise


def matrices_with_gradient(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters of two and more dimensions that the last backward reached, by name.

    Left out are embeddings and the head, without which there is nothing to say at all, and biases
    (those of fused experts have two dimensions).
    """
    spared = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters()
    }
    head = getattr(model, "get_output_embeddings", lambda: None)()
    if head is not None:
        spared |= {id(parameter) for parameter in head.parameters()}
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.dim() > 1
        and not name.endswith("bias")
        and id(parameter) not in spared
        and parameter.grad is not None
        and bool(parameter.grad.any())
    }


@contextmanager
def zeroed(matrix: nn.Parameter) -> Iterator[None]:
    """Within the block `matrix` is zero and gets no gradient."""
    kept, learns = matrix.data, matrix.requires_grad
    matrix.data = torch.zeros_like(kept)
    matrix.requires_grad_(False)
    try:
        yield
    finally:
        matrix.data = kept
        matrix.requires_grad_(learns)


def recitals_without(
    model: nn.Module, exercise: Exercise, matrices: Mapping[str, nn.Parameter]
) -> dict[str, float]:
    """The recital (share of tokens) with each of `matrices` zeroed, one at a time."""
    shares: dict[str, float] = {}
    with torch.no_grad():
        for name, matrix in matrices.items():
            with zeroed(matrix):
                shares[name] = exercise.recital(exercise.logits(model))
    return shares
