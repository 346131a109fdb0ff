"""What opening a checkpoint comes to: loaded, a reason, or a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat.loading.load import LoadOptions
from compat.loading.open import Opening, open_subject
from compat.outcomes import Stage
from compat.registry.spec import ModelSpec
from compat.runner import CaseResult, conclude, stage_reached
from compat.targets import Device, Mode, Target, Weights
from compat.targets.devices import this_host
from compat.weights.consent import Policy
from compat.weights.hub import Hub


@dataclass(frozen=True)
class Trial:
    """How a checkpoint is opened."""

    trust: bool = False
    """--compat-allow-remote-code"""
    pickle: bool = False
    """--compat-allow-pickle"""
    mode: Mode = Mode.FP32
    attention: str = "sdpa"

    def opening(self, hub: Hub | None = None, folder: Path | None = None) -> Opening:
        return Opening(
            host=this_host(),
            policy=Policy(allow_remote_code=self.trust, allow_pickle=self.pickle),
            options=LoadOptions(
                attention=self.attention, allow_remote_code=self.trust, allow_pickle=self.pickle
            ),
            hub=hub or Hub(),
            local={} if folder is None else {f"local/{folder.name}": folder},
        )


def outcome_of(
    spec: ModelSpec,
    weights: Weights,
    trial: Trial,
    opening: Opening,
    ask: Callable[[Any], None] = lambda subject: None,
) -> CaseResult:
    """Open a target, ask its subject, and judge how that ended."""
    target = Target(spec.id, spec.slug, weights, Device.CPU, trial.mode)
    try:
        with open_subject(target, spec, opening) as subject:
            ask(subject)
            return conclude(None, Stage.CHECK)
    except Exception as error:
        return conclude(error, stage_reached(error, Stage.CHECK))


def with_json(files: dict[str, bytes], name: str, **changes: Any) -> dict[str, bytes]:
    """Files of which a JSON one says something else."""
    written = json.loads(files.get(name, b"{}")) | changes
    return files | {name: json.dumps(written).encode()}


def with_config(files: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """Files of which the config says something else."""
    return with_json(files, "config.json", **changes)
