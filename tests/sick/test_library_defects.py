"""Defects that libraries really have: let in, they are caught; kept out, they do not show."""

from __future__ import annotations

import re

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

DAMAGE = {
    "reload_gives_the_same_logits": r"logits differ after the reload",
    "peak_as_predicted": r"a forward takes \d+ bytes at its peak, \d+ predicted",
}
"""Check -> what it says where bitsandbytes repacks 4-bit weights at the first forward."""

repacks = pytest.mark.skipif(
    not has_avx512bf16(), reason="bitsandbytes repacks 4-bit weights on AVX512_BF16 CPUs only"
)


def outcome(check: str, options: LoadOptions) -> CaseResult:
    spec = Clinic().registry.by_id(LLAMA)
    target = Target(spec.id, spec.slug, Weights.TWIN, Device.CPU, Mode.NF4)
    with open_subject(target, spec, Opening(host=this_host(), options=options)) as subject:
        return run_case(load_catalogue()[check], subject)


@repacks
@pytest.mark.parametrize("check", DAMAGE)
def test_the_repacking_of_4_bit_weights_is_caught(check: str) -> None:
    result = outcome(check, LoadOptions(repack_4bit_on_cpu=True))
    assert result.outcome is Outcome.FAILED
    assert re.search(DAMAGE[check], str(result.exception))


@pytest.mark.parametrize("check", DAMAGE)
def test_the_canonical_layout_keeps_it_out_even_after_forwards(check: str) -> None:
    result = outcome(check, LoadOptions())
    assert result.outcome is Outcome.PASSED, result.exception
