"""No wrapper: the model as transformers loads it."""

from __future__ import annotations

from typing import Any

from torch import nn

from compat.subject import Subject


class Bare:
    """The model itself; what a wrapped model's failures are held against."""

    name = "bare"

    def wrap(self, model: nn.Module, tokenizer: Any, **subject: Any) -> Subject:
        """A plain subject."""
        return Subject(model=model, tokenizer=tokenizer, **subject)

    def unwrap(self, subject: Subject) -> None:
        """There is nothing to take off."""
