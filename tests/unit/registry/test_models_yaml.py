"""The registry of this project, as it is read by the suite."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from typing import get_args

import pytest

from compat.registry import (
    Conditions,
    Registry,
    UnknownModelError,
    default_registry_path,
    expected_failure,
    load_registry,
    parse_registry,
)
from compat.registry.spec import ModeName
from compat.targets import Device, Mode, Weights
from compat.targets.target import CaseId


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(default_registry_path())


def test_every_entry_knows_the_line_it_starts_on(registry: Registry) -> None:
    lines = default_registry_path().read_text().splitlines()
    for spec in registry.models:
        assert lines[spec.line - 1].strip() == f"- id: {spec.id}"


def test_the_facts_of_an_entry_fit_half_a_screen(registry: Registry) -> None:
    lines = default_registry_path().read_text().splitlines()
    starts = [spec.line for spec in registry.models] + [len(lines) + 2]
    for spec, (start, end) in zip(registry.models, pairwise(starts), strict=True):
        # Known failures are findings, as many as there are: they stand between the facts.
        rows = [row.line for row in spec.known_failures]
        entry = lines[start - 1 : end - 2]
        evidence = next(i for i, line in enumerate(entry) if line.startswith("    evidence:"))
        facts = evidence if not rows else min(rows) - start - 1
        assert facts + len(entry) - evidence <= 30, spec.id


def test_a_model_is_found_by_id_alias_and_slug(registry: Registry) -> None:
    native = registry.by_id("zai-org/chatglm3-6b")
    assert registry.by_id("THUDM/chatglm3-6b") is native
    assert registry.by_id("chatglm3-6b") is native


def test_an_unknown_model_is_told_what_is_near(registry: Registry) -> None:
    with pytest.raises(UnknownModelError, match="did you mean 'facebook/opt-125m'"):
        registry.by_id("facebook/opt-125")


def test_a_model_like_no_other_is_told_nothing(registry: Registry) -> None:
    with pytest.raises(UnknownModelError, match=r"no model 'zzz' in the registry$"):
        registry.by_id("zzz")


def test_a_slug_is_the_name_of_the_id_unless_it_is_given(two_models: str) -> None:
    assert parse_registry(two_models).models[0].slug == "oak-1b"
    assert parse_registry(two_models + "    slug: tall\n").models[1].slug == "tall"


def test_the_arguments_of_a_config_are_a_copy_with_the_fix_in_it(registry: Registry) -> None:
    spec = registry.by_id("databricks/dbrx-base")
    arguments = spec.config_arguments()
    assert "model_type" not in arguments
    assert arguments["rope_parameters"] == {"rope_type": "default", "rope_theta": 500000.0}
    arguments["attn_config"]["kv_n_heads"] = 0
    assert spec.config["attn_config"]["kv_n_heads"] == 8


def test_grouped_heads_share_key_values_evenly(registry: Registry) -> None:
    for spec in registry.models:
        if spec.widths.heads is not None:
            assert spec.widths.key_value_heads is not None
            assert spec.widths.heads % spec.widths.key_value_heads == 0


def test_a_full_precision_file_holds_at_least_its_parameters(registry: Registry) -> None:
    bytes_each = {"float32": 4, "float16": 2, "bfloat16": 2}
    for spec in registry.models:
        if spec.checkpoint.quantization is None:
            expected = spec.parameters * bytes_each[spec.checkpoint.dtype] / 1e9
            assert spec.checkpoint.gb >= 0.985 * expected - 0.001, spec.id


def test_the_modes_of_the_registry_are_those_of_the_suite() -> None:
    assert set(get_args(ModeName)) == {mode.value for mode in Mode} - {Mode.META.value}


def test_reading_the_registry_imports_no_torch() -> None:
    script = (
        "import sys; from compat.registry import *; load_registry(default_registry_path()); "
        "sys.exit(bool({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    ("model", "check", "measured"),
    [
        (
            "state-spaces/mamba-130m-hf",
            "captured_equals_hidden_states",
            {Mode.FP32, Mode.BF16, Mode.FP16, Mode.DISK_OFFLOAD, Mode.INT8, Mode.NF4},
        ),
        ("databricks/dbrx-base", "recites", {Mode.DISK_OFFLOAD}),
    ],
)
def test_rows_expect_a_failure_where_it_was_measured_and_nowhere_else(
    registry: Registry, model: str, check: str, measured: set[Mode]
) -> None:
    spec, here = registry.by_id(model), Conditions()
    expected = {
        (device, mode)
        for device in Device
        for mode in Mode
        if expected_failure(
            registry, spec, CaseId(model, Weights.TWIN, device, mode, "bare", check), here
        )
    }
    assert expected == {(Device.CPU, mode) for mode in measured}


def test_no_row_for_what_quantization_leaves_out_hides_that_nothing_is_quantized(
    registry: Registry,
) -> None:
    rows = [
        (spec.id, row.raises.match)
        for spec in registry.models
        for row in spec.known_failures
        if row.check == "weights_quantized" and row.raises is not None
    ]
    assert len(rows) > 5
    for model, match in rows:
        listed = re.sub(r".*precision: |\$$", "", match) if "precision: " in match else ""
        left_out = sorted({*filter(None, listed.split(", ")), "Linear weight"})
        said = f"0% of them are quantized; left in full precision: {', '.join(left_out)}"
        assert not re.search(match, said), model
