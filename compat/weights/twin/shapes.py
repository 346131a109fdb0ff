"""Taught shapes on disk: each is taught once, whatever models share it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compat.weights.twin.draft import Draft
from compat.weights.twin.exercise import Exercise
from compat.weights.twin.folders import built_once
from compat.weights.twin.manifest import Taught, file_hash, read_taught, thinned
from compat.weights.twin.rounding import quantizable, rounded_to_nf4
from compat.weights.twin.teach import one_thread, teach

WEIGHTS_FILE = "model.safetensors"
_TAUGHT_FILE = "taught.json"


@dataclass(frozen=True)
class TaughtShape:
    """Weights and how they were taught."""

    weights: Path
    taught: Taught


def taught_shape(draft: Draft, cache: Path, announce: Callable[[str], None]) -> TaughtShape:
    """Find the shape of `draft` in `cache`, or teach it there, once among all processes."""
    folder = cache / "shapes" / draft.shape_key

    def build(target: Path) -> None:
        announce(f"teaching a {draft.spec.family} twin for {draft.spec.id}")
        _teach_into(draft, target)

    built_once(folder, build, is_complete=lambda found: _read(found) is not None)
    shape = _read(folder)
    if shape is None:
        raise RuntimeError(f"the taught shape {draft.shape_key} vanished from the cache")
    return shape


def _read(folder: Path) -> TaughtShape | None:
    """What is in `folder`, if it is all there and unchanged."""
    weights = folder / WEIGHTS_FILE
    try:
        raw: dict[str, Any] = json.loads((folder / _TAUGHT_FILE).read_text(encoding="utf-8"))
        if raw["sha256"] != file_hash(weights):
            return None
        return TaughtShape(weights, read_taught(raw["taught"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _teach_into(draft: Draft, folder: Path) -> None:
    model, exercise = draft.build_model(), draft.exercise()
    progress = teach(model, exercise)
    taught = Taught(
        architecture=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        learned=progress.learned,
        steps=progress.steps,
        rate=progress.rate,
        seconds=round(progress.seconds, 2),
        loss_curve=thinned(progress.curve),
        margin=_finite(progress.margin),
        rounded_margin=_finite(progress.rounded_margin),
        recital=_recitals(model, exercise),
        recital_without=max(progress.without.values(), default=1.0),
        dispensable=tuple(progress.dispensable),
    )
    model.save_pretrained(folder)
    facts = {"taught": asdict(taught), "sha256": file_hash(folder / WEIGHTS_FILE)}
    (folder / _TAUGHT_FILE).write_text(json.dumps(facts), encoding="utf-8")


def _finite(margin: float) -> float | None:
    """JSON has no infinity: None where a margin was never measured."""
    return None if margin == -torch.inf else round(margin, 3)


def _recitals(model: nn.Module, exercise: Exercise) -> dict[str, float]:
    with torch.no_grad(), one_thread():
        recitals = {"fp32": exercise.recital(exercise.logits(model))}
        with rounded_to_nf4(quantizable(model)):
            recitals["rounded to nf4"] = exercise.recital(exercise.logits(model))
        half = copy.deepcopy(model).to(torch.bfloat16)
        recitals["bf16"] = exercise.recital(exercise.logits(half))
    return {name: round(share, 4) for name, share in recitals.items()}
