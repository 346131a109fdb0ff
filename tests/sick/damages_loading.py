"""Models that loaded, and are not ready to run."""

from __future__ import annotations

from typing import Any

from tests.sick.sickness import GPT2, sick
from tests.sick.surgery import around_forward, around_method, modules


@sick("loads", says="1 modules are in training mode, first: 'transformer.drop'", model=GPT2)
def dropout_in_training_mode(subject: Any) -> None:
    """One dropout was left in training mode after loading."""
    subject.model.transformer.drop.train()


@sick(
    "loads", says="gives no tokens for the text", shows_in={"anatomy", "tokenizer", "persistence"}
)
def tokenizer_gives_nothing(subject: Any) -> None:
    """The tokenizer has lost its vocabulary and gives no tokens."""
    subject.tokenizer.eos_token = None

    def nothing(inner: Any, *args: Any, **kwargs: Any) -> Any:
        return {name: values[:1] for name, values in inner(*args, **kwargs).items()}

    around_method(subject.tokenizer, "__call__", nothing)


@sick("loads", says="RuntimeError: the kernel for this block is not built", shows_in={"anatomy"})
def block_that_can_not_run(subject: Any) -> None:
    """Loading went well, but a block raises as soon as it runs."""

    def refuse(_inner: Any, *_args: Any, **_kwargs: Any) -> Any:
        raise RuntimeError("the kernel for this block is not built")

    around_forward(modules(subject)[-1], refuse)
