"""Mode `auto` where no GPU is: main memory and the disk stand in for the GPUs it spreads over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from compat.checks.registry import load_catalogue
from compat.loading import placement
from compat.loading.loaded import LoadOptions
from compat.loading.open import Opening, open_subject
from compat.outcomes import CannotRun, Outcome, ReasonCode
from compat.registry.load import default_registry_path, load_registry
from compat.runner import run_case
from compat.subject import Subject
from compat.targets import Device, Mode
from compat.targets.devices import Gpu, Host
from compat.targets.plan import PlannedTarget
from compat.weights.local import local_spec
from compat.weights.twin import twin_checkpoint
from tests.unit.loading.tiny import target_of

GPU = Gpu("H200", 141 * 10**9, (9, 0))
AREAS = {"loading", "forward", "generation", "hooks", "offload", "embeds", "training", "gates"}
MAY_NOT_APPLY = {"chat_template_renders", "stops_at_end_of_text", "offloaded_embeds_equal_ids"}
NEEDS_GRADIENTS = {
    "gradient_reaches_every_weight",
    "gradient_checkpointing_changes_no_gradient",
    "lora_adapter_learns_and_detaches",
}
Spread = Callable[..., object]


@pytest.fixture
def spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spread:
    """Open a twin as a folder in mode auto with so much of it in memory, the rest on the disk."""
    monkeypatch.setattr(placement, "FIRST_GPU", "cpu")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: GPU.name)

    @contextmanager
    def opened(model: str, share: float, gpus: int = 2) -> Iterator[Subject]:
        registry = load_registry(default_registry_path())
        folder = twin_checkpoint(registry.by_id(model)).folder
        spec = local_spec(folder)
        room = {"cpu": int(share * spec.parameters * 2), "disk": 10**12}
        monkeypatch.setattr(
            "transformers.integrations.accelerate.get_max_memory", lambda given=None: dict(room)
        )
        opening = Opening(
            host=Host(gpus=(GPU,) * gpus, torch_cuda="13.0"),
            options=LoadOptions(offload_folder=tmp_path),
            twin_cache=tmp_path / "cache",
            local={spec.id: folder},
        )
        with open_subject(target_of(spec, Mode.AUTO, Device.GPU), spec, opening) as subject:
            yield subject

    return opened


@pytest.mark.parametrize(
    ("model", "share"), [("llama-3.2-1b", 0.9), ("gpt2", 0.6), ("t5-small", 0.6)]
)
def test_what_is_spread_gives_the_answers_of_one_device(spread, model, share):
    with spread(model, share) as subject:
        assert " x " in subject.load_measures["device_map"]
        planned = PlannedTarget(subject.target, subject.spec)
        cases = [
            (check.name, run_case(check, subject))
            for check in load_catalogue()
            if check.area in AREAS and planned.offers(check)
        ]
    skipped = {name for name, result in cases if result.outcome is Outcome.SKIPPED}
    failed = {
        name: str(result.exception)
        for name, result in cases
        if result.outcome not in (Outcome.PASSED, Outcome.SKIPPED)
    }
    assert failed == {}
    assert skipped >= NEEDS_GRADIENTS, "no gradient gets back to a weight on the disk"
    assert skipped <= NEEDS_GRADIENTS | MAY_NOT_APPLY
    assert {"offloaded_equals_resident", "offloaded_hooks_see_activations"} <= {
        name for name, result in cases if result.outcome is Outcome.PASSED
    }


def test_what_fits_one_device_is_not_divided_and_can_be_trained(spread):
    with spread("llama-3.2-1b", 10.0) as subject:
        assert subject.load_measures["offloaded_bytes"] == 0
        assert not subject.has("divided-weights")
        check = load_catalogue()["gradient_reaches_every_weight"]
        assert run_case(check, subject).outcome is Outcome.PASSED
        check = load_catalogue()["offloaded_equals_resident"]
        assert run_case(check, subject).outcome is Outcome.SKIPPED


@pytest.mark.parametrize(("gpus", "code"), [(0, ReasonCode.NO_GPU), (1, ReasonCode.TOO_FEW_GPUS)])
def test_without_several_gpus_nothing_is_loaded_and_it_is_said_why(spread, gpus, code):
    with pytest.raises(CannotRun) as caught, spread("llama-3.2-1b", 0.9, gpus):
        pass
    assert caught.value.reason.code is code
    assert "CUDA_VISIBLE_DEVICES" in caught.value.reason.action
