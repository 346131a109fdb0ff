"""Quality: how a real checkpoint writes. A twin's grade would say nothing: it has its recital."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check
from compat.targets import Weights

if TYPE_CHECKING:
    from compat.subject import Subject
    from compat.subject.quality import Likelihood

REAL = frozenset({Weights.HUB, Weights.LOCAL})

STEPS = 32
"""Tokens written on from each prompt: enough for a loop to show."""
NUCLEUS = 0.9
"""Greedy decoding loops on healthy models too; a nucleus leaves out what no reader would expect."""


@check(Area.QUALITY, needs={"decoder-only"}, weights=REAL)
def writes_text(subject: Subject) -> None:
    """Plain English has a finite perplexity and prompts are written on from; graded, with a sample.

    The grade is a measure and fails nothing: a small model may write poorly and be in order.
    """
    import math

    from compat.subject.quality import PASSAGES, PROMPTS, Quality

    first, *others = (likelihood(subject, passage) for passage in PASSAGES)
    total = sum(others, start=first)
    assert math.isfinite(total.perplexity), f"the perplexity of plain English is {total.perplexity}"
    written = [continuation(subject, prompt, seed) for seed, prompt in enumerate(PROMPTS)]
    quality = Quality.of(total, written)
    subject.sample(PROMPTS[0] + subject.tokenizer.decode(written[0], skip_special_tokens=True))
    for name in ("perplexity", "bits_per_byte", "repetition", "distinct_1", "distinct_2"):
        subject.measure(name, getattr(quality, name))
    subject.measure("quality", str(quality.grade))
    assert any(written), f"nothing is written on from any of {len(PROMPTS)} prompts"


def likelihood(subject: Subject, text: str) -> Likelihood:
    """Of all tokens of a text but the first, as far as the model's context reaches."""
    import torch

    from compat.subject.inputs import Inputs
    from compat.subject.quality import Likelihood

    ids = torch.tensor([subject.tokenizer(text)["input_ids"][: context(subject)]])
    labels = ids[0, 1:]
    logits = subject.logits(Inputs.of(ids))[0, :-1]
    nats = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    read = subject.tokenizer.decode(labels.tolist(), skip_special_tokens=True)
    return Likelihood(float(nats), len(labels), len(read.encode()))


def context(subject: Subject) -> int | None:
    """Tokens that the model reads at a time; None where its config sets no limit."""
    from compat.anatomy.anatomy import text_config

    config = text_config(subject.model)
    for name in ("max_position_embeddings", "max_seq_len"):
        limit = getattr(config, name, None)
        if limit is not None:
            return int(limit)
    return None


def continuation(subject: Subject, prompt: str, seed: int) -> list[int]:
    """Tokens that are sampled with a seed of their own, up to the end of text and without it."""
    import torch

    from compat.subject.inputs import Inputs

    ids = torch.tensor([subject.tokenizer(prompt)["input_ids"]])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        said = subject.generate(
            Inputs.of(ids),
            new_tokens=STEPS,
            stop=True,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=NUCLEUS,
        ).row()
    end = subject.tokenizer.eos_token_id
    return said[: said.index(end)] if end in said else said
