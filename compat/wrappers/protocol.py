"""How a framework brings its models under the suite."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import nn

from compat.subject import Subject


@runtime_checkable
class Wrapper(Protocol):
    """Builds a subject around a loaded model, and takes it off again.

    Targets that differ in the wrapper alone share a load, so `unwrap` has to leave the model as
    `wrap` found it. A capability that the framework takes from a model stands in its subject's
    `lacks`.
    """

    @property
    def name(self) -> str:
        """What stands in case ids: lower case, with hyphens."""

    def wrap(self, model: nn.Module, tokenizer: Any, **subject: Any) -> Subject:
        """A subject around `model`; `subject` is what `Subject` takes besides."""

    def unwrap(self, subject: Subject) -> None:
        """Leave the model as it was before `wrap`."""
