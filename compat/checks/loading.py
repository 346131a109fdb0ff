"""Loading: the checkpoint became a model, whole and ready to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from compat.subject import Subject


@check(Area.LOADING)
def loads(subject: Subject) -> None:
    """The checkpoint loads whole, in evaluation mode, and runs."""
    for name, value in subject.load_measures.items():
        subject.measure(name, value)
    training = [name for name, module in subject.model.named_modules() if module.training]
    assert not training, f"{len(training)} modules are in training mode, first: {training[0]!r}"
    tokens = subject.text.inputs.length
    assert tokens > 0, "its tokenizer gives no tokens for the text"
    subject.forward(subject.text.inputs.first(min(4, tokens)))
