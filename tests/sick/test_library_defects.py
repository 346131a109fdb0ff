"""Defects that libraries really have: let in, they are caught; kept out, they do not show."""

from __future__ import annotations

import pytest
from bitsandbytes.functional import has_avx512bf16

from compat.checks.registry import load_catalogue
from compat.loading.load import LoadOptions
from compat.loading.open import Opening, open_subject
from compat.outcomes import Outcome
from compat.runner import CaseResult, run_case
from compat.targets import Device, Mode, Target, Weights
from compat.targets.devices import this_host
from tests.sick.diagnosis import Clinic
from tests.sick.sickness import LLAMA

repacks = pytest.mark.skipif(
    not has_avx512bf16(), reason="bitsandbytes repacks 4-bit weights on AVX512_BF16 CPUs only"
)


def reload_with(options: LoadOptions) -> CaseResult:
    """Whether what was saved after a forward is what it was, in 4 bit."""
    spec = Clinic().registry.by_id(LLAMA)
    target = Target(spec.id, spec.slug, Weights.TWIN, Device.CPU, Mode.NF4)
    with open_subject(target, spec, Opening(host=this_host(), options=options)) as subject:
        return run_case(load_catalogue()["reload_gives_the_same_logits"], subject)


@repacks
def test_weights_that_the_first_forward_repacked_are_caught_when_they_are_saved() -> None:
    result = reload_with(LoadOptions(repack_4bit_on_cpu=True))
    assert result.outcome is Outcome.FAILED
    assert "logits differ after the reload" in str(result.exception)


def test_in_the_canonical_layout_saving_after_a_forward_is_exact() -> None:
    result = reload_with(LoadOptions())
    assert result.outcome is Outcome.PASSED, result.exception
