"""A checkpoint that bitsandbytes has quantized and transformers has saved, tested as it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compat.registry.load import default_registry_path, load_registry
from compat.weights.twin import twin_checkpoint

SECONDS = 240
CANNOT_BE_SAVED = {
    "saved_as_safetensors_only",
    "reload_gives_the_same_logits",
    "tokenizer_survives_saving",
    "configs_survive_saving",
}
"""transformers 5.23 saves none again that it has loaded so: what unpacks them has no reverse."""

Outcomes = dict[tuple[str, str], dict[str, Any]]
"""(mode, check) -> record."""


@pytest.fixture(scope="module", params=["nf4", "nf4-double", "int8"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory, scheme: str) -> Outcomes:
    """What the suite says of such a folder in every mode that there is."""
    place = tmp_path_factory.mktemp("stored")
    _quantize(place / "quantized", scheme)
    return records_of(place)


def records_of(place: Path, *arguments: str) -> Outcomes:
    """Test the folder `quantized` in a place: the records of its cases."""
    (place / "pytest.ini").write_text("[pytest]\n")
    (place / "test_suite.py").write_text("from compat.suite import test_check\n")
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--compat-model", "./quantized",
         "--compat-records", "records", "-q", *arguments],
        cwd=place,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )  # fmt: skip
    lines = [
        json.loads(line)
        for file in (place / "records").rglob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    found = [line for line in lines if line["kind"] == "case"]
    parts = [line["case"].split("/") for line in found]  # a folder's path has slashes of its own
    return {(one[-3], one[-1]): line for one, line in zip(parts, found, strict=True)}


def _quantize(folder: Path, scheme: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    twin = twin_checkpoint(load_registry(default_registry_path()).by_id("llama-3.2-1b")).folder
    settings = (
        {"load_in_8bit": True}
        if scheme == "int8"
        else {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": torch.float32,
            "bnb_4bit_use_double_quant": scheme.endswith("-double"),
        }
    )
    model = AutoModelForCausalLM.from_pretrained(
        twin, quantization_config=BitsAndBytesConfig(**settings), dtype=torch.float32
    )
    model.save_pretrained(folder)
    for path in twin.iterdir():
        if path.name.startswith("tokenizer"):
            shutil.copyfile(path, folder / path.name)


def test_it_recites_as_it_is_stored(cases: Outcomes) -> None:
    assert cases["native", "recites_teacher_forced"]["outcome"] == "passed"
    assert cases["native", "recites_freely"]["outcome"] == "passed"


def test_its_bytes_are_those_of_the_scheme_it_names(cases: Outcomes, scheme: str) -> None:
    case = cases["native", "footprint_as_predicted"]
    if scheme == "nf4-double":
        assert "stored as nf4-double" in case["reason"]["text"]
    else:
        assert case["outcome"] == "passed"


def test_bitsandbytes_again_is_no_mode_of_it(cases: Outcomes) -> None:
    assert {mode for mode, _ in cases}.isdisjoint({"int8", "nf4", "fp4"})


@pytest.mark.parametrize("mode", ["fp32", "bf16"])
def test_what_can_not_be_unpacked_does_not_apply(cases: Outcomes, mode: str) -> None:
    case = cases[mode, "recites_freely"]
    assert case["outcome"] == "skipped"
    assert "bitsandbytes weights can't be dequantized on loading" in case["reason"]["text"]


def test_what_fails_is_that_it_can_not_be_saved_again(cases: Outcomes) -> None:
    failed = {check for (_, check), case in cases.items() if case["outcome"] == "failed"}
    assert failed == CANNOT_BE_SAVED


EXPERTS = ("experts.gate_up_proj", "experts.down_proj")
SMALL_SCALE = 120
"""As e8m0 holds it: 2 to the power of -7, times codes of at most 6."""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What the suite says of experts that are stored in MXFP4, as those of gpt-oss are."""
    import torch
    from safetensors.torch import load_file, save_file

    place = tmp_path_factory.mktemp("packed")
    folder = place / "quantized"
    twin = twin_checkpoint(load_registry(default_registry_path()).by_id("gpt-oss-20b")).folder
    shutil.copytree(twin, folder, ignore=shutil.ignore_patterns("compat*", "*.safetensors"))
    stored = {}
    for name, weight in load_file(twin / "model.safetensors").items():
        if name.endswith(EXPERTS):
            experts, width, rows = weight.shape
            shape = (experts, rows, width // 32)
            stored[f"{name}_blocks"] = torch.randint(0, 256, (*shape, 16), dtype=torch.uint8)
            stored[f"{name}_scales"] = torch.full(shape, SMALL_SCALE, dtype=torch.uint8)
        else:
            stored[name] = weight.bfloat16()
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    kept = [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ]
    config |= {
        "dtype": "bfloat16",
        "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": kept},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return records_of(place, "-k", "native or bf16", "-m", "forward or precision")


def test_packed_experts_run_unpacked_in_half_precision(packed: Outcomes) -> None:
    ran = {case["outcome"] for (mode, _), case in packed.items() if mode == "bf16"}
    assert packed["bf16", "footprint_as_predicted"]["outcome"] == "passed"
    assert "passed" in ran
    assert not ran & {"error", "crashed"}


def test_packed_experts_that_can_not_stay_packed_here_say_so(packed: Outcomes) -> None:
    native = [case for (mode, _), case in packed.items() if mode == "native"]
    assert native
    for case in native:
        assert case["outcome"] == "skipped"
        assert "stored as mxfp4 can't be run as they are here" in case["reason"]["text"]
        assert "choose mode bf16" in case["reason"]["action"]
