"""Flex attention, which no case on a CPU reaches: it is compiled for half a minute there."""

from __future__ import annotations

import pytest
import torch

import compat.subject.attention
from compat.checks.registry import load_catalogue
from compat.loading.open import Opening, open_subject
from compat.outcomes import Outcome
from compat.registry import default_registry_path, load_registry
from compat.runner import run_case
from compat.targets import Device, Mode, Target, Weights
from compat.targets.devices import this_host


@pytest.mark.filterwarnings("ignore:_compile flag:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_agrees_where_it_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        compat.subject.attention, "other_implementations", lambda *_: ["flex_attention"]
    )
    spec = load_registry(default_registry_path()).by_id("meta-llama/Llama-3.2-1B")
    target = Target(spec.id, spec.slug, Weights.TWIN, Device.CPU, Mode.FP32)
    check = load_catalogue()["attention_implementations_agree"]
    with (
        torch.compiler.set_stance("force_eager"),
        open_subject(target, spec, Opening(host=this_host())) as subject,
    ):
        result = run_case(check, subject)
    assert result.outcome is Outcome.PASSED, f"{result.note} {result.exception}"
    assert "flex_attention_relative_difference" in result.measures
