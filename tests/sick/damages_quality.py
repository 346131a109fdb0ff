"""Models whose text has no quality at all."""

from __future__ import annotations

from typing import Any

import torch

from compat.targets import Weights
from tests.sick.sickness import GPT2, sick
from tests.sick.surgery import change_logits

LOCAL = {"weights": Weights.LOCAL}


@sick(
    "writes_text",
    says="the perplexity of plain English is nan",
    **LOCAL,
    shows_in={"forward", "embeds"},
)
def overflows_on_plain_text(subject: Any) -> None:
    """The head overflows in half precision: logits are infinite, and their softmax is none."""
    change_logits(subject.model, lambda logits: logits * torch.inf)


@sick(
    "writes_text",
    says="the perplexity of plain English is inf",
    model=GPT2,
    **LOCAL,
    shows_in={"forward", "embeds"},
)
def lower_case_never_predicted(subject: Any) -> None:
    """The head's rows of some letters are masked out: what they begin can't be predicted."""
    letters = subject.tokenizer("e a t")["input_ids"]

    def silence(logits: torch.Tensor) -> torch.Tensor:
        return logits.index_fill(-1, torch.tensor(letters), -torch.inf)

    change_logits(subject.model, silence)


@sick(
    "writes_text", says="nothing is written on from any of 3 prompts", **LOCAL, shows_in={"forward"}
)
def ends_at_once(subject: Any) -> None:
    """The end of text is the likeliest token everywhere."""
    end = subject.tokenizer.eos_token_id

    def insist(logits: torch.Tensor) -> torch.Tensor:
        return logits.index_fill(-1, torch.tensor([end]), 100.0)

    change_logits(subject.model, insist)
