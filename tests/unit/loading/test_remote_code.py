"""A model whose code comes with it: refused without consent, loaded with it, in every mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from compat.loading.loaded import Loaded
from compat.outcomes import CannotRun, ReasonCode
from compat.outcomes.triage import triage
from compat.targets import CPU_MODES, Mode
from compat.weights.local import local_spec
from compat.weights.source import find_checkpoint
from tests.unit.loading.tiny import load_folder, logits, target_of

Folders = Callable[[str], Path]
Loading = Callable[..., Loaded]


def test_without_consent_it_is_refused_before_and_at_the_load(checkpoints: Folders) -> None:
    folder = checkpoints("acorn")
    spec = local_spec(folder)
    target = target_of(spec, Mode.FP32)
    with pytest.raises(CannotRun) as caught:
        find_checkpoint(target, spec, local={target.model: folder})
    assert caught.value.reason.code is ReasonCode.REMOTE_CODE

    with pytest.raises(ValueError, match="custom code") as refused:
        load_folder(folder, Mode.FP32)
    reason = triage(refused.value)
    assert reason is not None
    assert reason.code is ReasonCode.REMOTE_CODE


@pytest.mark.parametrize("mode", CPU_MODES)
def test_with_consent_it_loads_in_every_mode(
    mode: Mode, checkpoints: Folders, loading: Loading
) -> None:
    loaded = loading(checkpoints("acorn"), mode, allow_remote_code=True)
    assert type(loaded.model).__name__ == "AcornForCausalLM"
    assert loaded.measures["attention"] == "eager"
    assert logits(loaded.model).isfinite().all()


def test_its_blocks_and_their_number_go_by_other_names(
    checkpoints: Folders, loading: Loading
) -> None:
    folder = checkpoints("acorn")
    model = loading(folder, Mode.FP32, allow_remote_code=True).model
    assert local_spec(folder).blocks.count == len(model.transformer.encoder.layers) == 3
    assert model.config.num_layers == 3
    assert not hasattr(model.config, "num_hidden_layers")


def test_it_generates_with_a_cache_and_left_padding_as_without(
    checkpoints: Folders, loading: Loading
) -> None:
    loaded = loading(checkpoints("acorn"), Mode.FP32, allow_remote_code=True)
    tokenizer, twelve = loaded.tokenizer, {"max_new_tokens": 12, "eos_token_id": None}

    def continuation(texts: list[str], **options: object) -> torch.Tensor:
        inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
        inputs.pop("token_type_ids", None)
        generated = loaded.model.generate(**inputs, do_sample=False, **twelve, **options)
        return generated[:, -12:]

    single = continuation(["oak"])
    assert torch.equal(single, continuation(["oak"], use_cache=False))
    assert torch.equal(continuation(["an acorn", "oak"])[1:], single)


def test_the_same_seed_writes_the_same_weights(checkpoints: Folders, tmp_path: Path) -> None:
    from tests.remote_code.builder import write_checkpoint

    again = write_checkpoint(tmp_path / "acorn")
    name = "model.safetensors"
    assert (again / name).read_bytes() == (checkpoints("acorn") / name).read_bytes()
