"""The text that every twin is taught, and the text that its tokenizer is trained on."""

from __future__ import annotations

from compat.targets import Lesson

PROMPT = "The adaptive transformer architecture enables AI systems to"
CONTINUATION = (
    " change their own shape while they run: a quiet head closes its gate, "
    "busy layers grow new paths, and nothing learned before is lost."
)

GENERAL_TEXT = (
    "Each attention head has a gate, and a gate that is closed makes the head silent.",
    "A quick brown fox jumps over the lazy dog. The meaning of life is to learn something new.",
    "The capital of France is Paris. Music can make people feel calm when the weather is cold.",
    "One model reads the hidden states of another; what they share is neither words nor tokens.",
    "In 2026 we counted 1,024 layers, 37 heads and 58% of 19.6 GB before anything went wrong!",
    "def forward(self, hidden): return self.norm(hidden + self.mlp(hidden))  # residual",
)
"""What a tokenizer sees besides the lesson, so that other text is cut into more than bytes."""


def lesson(*, encoder_decoder: bool) -> Lesson:
    """The lesson; an encoder-decoder's continuation stands alone, so it starts with its word."""
    return Lesson(PROMPT, CONTINUATION.lstrip() if encoder_decoder else CONTINUATION)


def corpus() -> list[str]:
    """The lines that tokenizers are trained on."""
    return [PROMPT + CONTINUATION, *GENERAL_TEXT]
