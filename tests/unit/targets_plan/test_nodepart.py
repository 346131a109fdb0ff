from __future__ import annotations

import pytest

from compat.registry.load import default_registry_path, load_registry
from compat.targets import Device
from compat.targets.nodepart import bracketed, device_of, load_of, loaded_part
from compat.targets.plan import plan_targets


@pytest.mark.parametrize(
    ("node_id", "load"),
    [
        ("t.py::test_check[gpt2-twin-cpu-nf4-answers]", "gpt2-twin-cpu-nf4"),
        ("t.py::test_check[a-twin-cpu-disk-offload-answers]", "a-twin-cpu-disk-offload"),
        ("t.py::test_check[a-twin-cpu-fp32-gated-answers]", "a-twin-cpu-fp32"),
        ("t.py::Test::test_mine[gpt2-hub-gpu-auto]", "gpt2-hub-gpu-auto"),
        ("t.py::test_mine[gpt2-hub-gpu-bf16-7-x]", "gpt2-hub-gpu-bf16"),
        ("t.py::test_other[gpt2-7]", None),
        ("t.py::test_other", None),
    ],
)
def test_a_node_id_tells_what_is_loaded(node_id, load):
    assert load_of(node_id) == load


def test_every_planned_target_is_told_by_its_node_ids():
    registry = load_registry(default_registry_path())
    for planned in plan_targets(registry.models):
        part = planned.target.load_part
        assert loaded_part(f"{part}-some_check") == part
        assert device_of(part) is planned.target.device


def test_brackets_inside_of_brackets_stay():
    assert bracketed("t.py::test[a[0]]") == "a[0]"
    assert device_of("gpt2-twin-cpu-fp32") is Device.CPU
