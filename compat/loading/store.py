"""Saving a subject to a folder, and loading it from there in the way it was loaded itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compat.loading.load import LoadOptions, load
from compat.loading.quiet import without_progress_bars
from compat.loading.release import release
from compat.subject import Subject
from compat.targets import Mode, Target
from compat.wrappers import Wrapper


@dataclass(frozen=True)
class CheckpointStore:
    """The `compat.subject.saved.Store` of every target: the libraries' saving, and our loader."""

    options: LoadOptions
    wrapper: Wrapper

    def save(self, subject: Subject, folder: Path) -> None:
        """Write a checkpoint as anybody would: nothing but the libraries' own defaults."""
        model: Any = subject.model
        with without_progress_bars(), warnings.catch_warnings():
            # Saving brings offloaded weights in: that is what was asked for.
            warnings.filterwarnings("ignore", "Attempting to save a model with offloaded modules")
            model.save_pretrained(folder)
        subject.tokenizer.save_pretrained(folder)

    @contextmanager
    def reopen(self, subject: Subject, folder: Path) -> Iterator[Subject]:
        """The subject of `folder`, released on leaving. Raises whatever loading raises."""
        checkpoint = replace(subject.checkpoint, folder=folder)
        loaded = load(saved_target(subject.target), subject.spec, checkpoint, self.options)
        try:
            again = self.wrapper.wrap(
                loaded.model,
                loaded.tokenizer,
                target=subject.target,
                spec=subject.spec,
                checkpoint=checkpoint,
                load_measures=loaded.measures,
            )
            yield again
            self.wrapper.unwrap(again)
        finally:
            release(loaded)


def saved_target(target: Target) -> Target:
    """How to load what a target was saved as: quantized weights are stored so, and loaded as is."""
    quantized = target.mode.traits.quantization is not None
    return replace(target, mode=Mode.NATIVE) if quantized else target
