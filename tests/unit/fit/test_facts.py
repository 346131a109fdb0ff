"""What is found out about a model once is kept, and read without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from compat.anatomy.size_facts import NotPredictableError
from compat.fit import Facts, Workload, predict
from compat.fit.facts import Build
from compat.targets import Device, Mode

READ_AGAIN = """
import sys
from pathlib import Path
from compat.fit import Facts, Workload, predict
from compat.registry.load import default_registry_path, load_registry
from compat.targets import Device, Mode
spec = load_registry(default_registry_path()).by_id("gpt2")
found = predict(spec, Mode.BF16, Device.CPU, Workload(1, 8), Facts(Path(sys.argv[1])))
print(found.weights_bytes, found.forward, "torch" in sys.modules)
"""


def test_what_was_found_is_read_again_without_importing_torch(tmp_path, spec_of):
    found = predict(spec_of("gpt2"), Mode.BF16, Device.CPU, Workload(1, 8), Facts(tmp_path))
    again = subprocess.run(
        [sys.executable, "-c", READ_AGAIN, tmp_path], capture_output=True, text=True, check=True
    )
    assert again.stdout.split() == [str(found.weights_bytes), str(found.forward), "False"]


def test_half_a_file_is_found_anew(tmp_path, spec_of):
    build = Build(spec_of("gpt2"), "bfloat16", "sdpa")
    whole = Facts(tmp_path).forward(build, 1, 8)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:20])
    assert Facts(tmp_path).forward(build, 1, 8) == whole


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(tmp_path, spec_of):
    (tmp_path / "taken").write_text("a file, where the folder should be")
    facts = Facts(tmp_path / "taken")
    assert facts.forward(Build(spec_of("gpt2"), "bfloat16", "sdpa"), 1, 8).peak > 0


@pytest.mark.parametrize(("dtype", "attention"), [("float32", "sdpa"), ("bfloat16", "eager")])
def test_dtype_and_attention_have_figures_of_their_own(facts, spec_of, dtype, attention):
    spec = spec_of("tinyllama-1.1b-chat-v1.0")
    plain = facts.forward(Build(spec, "bfloat16", "sdpa"), 1, 2048)
    other = facts.forward(Build(spec, dtype, attention), 1, 2048)
    assert other.peak > plain.peak


def test_a_config_with_absurdly_many_blocks_is_not_built(facts, spec_of):
    spec = spec_of("gpt2")
    config = {**spec.config, "n_layer": 10**9}
    blocks = spec.blocks.model_copy(update={"count": 10**9})
    absurd = spec.model_copy(update={"config": config, "blocks": blocks})
    with pytest.raises(NotPredictableError, match="it announces 1,000,000,000 blocks"):
        predict(absurd, Mode.BF16, Device.CPU, facts=facts)


def test_a_model_without_a_class_in_transformers_says_so_each_time(tmp_path, spec_of):
    for _ in range(2):
        with pytest.raises(NotPredictableError, match="no model of type chatglm"):
            predict(spec_of("chatglm3-6b"), Mode.BF16, Device.CPU, facts=Facts(tmp_path))
