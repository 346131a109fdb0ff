"""Log lines that a library repeats at every load or layer call, and nothing else, kept out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Noise:
    """Messages of one logger that begin or go on as `contains` says."""

    logger: str
    contains: str
    why: str


NOISE: tuple[Noise, ...] = (
    Noise(
        "bitsandbytes.autograd._functions",
        "inputs will be cast from",
        "int8 says it at every layer call; the cast is how LLM.int8() works",
    ),
    Noise(
        "bitsandbytes.backends.cpu.ops",
        "Failed to load CPU gemm_4bit_forward",
        "said at import; the kernel that is missing is the one the canonical layout does not use",
    ),
    Noise(
        "transformers.modeling_utils",
        "LOAD REPORT",
        "missing and mismatched keys are raised and unexpected keys measured by the loader",
    ),
    Noise(
        "accelerate.big_modeling",
        "Some parameters are on the meta device",
        "offloading was asked for",
    ),
)


class _Without(logging.Filter):
    def __init__(self, noise: Noise) -> None:
        super().__init__()
        self._noise = noise

    def filter(self, record: logging.LogRecord) -> bool:
        return self._noise.contains not in record.getMessage()


@contextmanager
def without_noise(noise: tuple[Noise, ...] = NOISE) -> Iterator[None]:
    """Keep those messages out of the log until the context ends; everything else comes through."""
    with ExitStack() as undo:
        for entry in noise:
            logger, without = logging.getLogger(entry.logger), _Without(entry)
            logger.addFilter(without)
            undo.callback(logger.removeFilter, without)
        yield


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Load without transformers' progress bars."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
