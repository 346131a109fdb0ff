"""The wrapper `adaptive`: the whole suite over an adaptive model with open gates."""

from __future__ import annotations

from typing import Any

from torch import nn

from compat.subject import Subject
from compat.wrappers.adaptive.subject import AdaptiveSubject


class Adaptive:
    """Makes a model adaptive by hooks alone; what bare passes, it passes with open gates."""

    name = "adaptive"

    def wrap(self, model: nn.Module, tokenizer: Any, **subject: Any) -> AdaptiveSubject:
        """An adaptive subject. Raises HeadsNotFoundError where a head can't be gated."""
        adaptive = AdaptiveSubject(model=model, tokenizer=tokenizer, **subject)
        adaptive.attach()
        return adaptive

    def unwrap(self, subject: Subject) -> None:
        """Take every hook off."""
        if not isinstance(subject, AdaptiveSubject):
            raise TypeError(f"{type(subject).__name__} was not wrapped by {type(self).__name__}")
        subject.detach()
