"""What has to be free of main memory, held against what the system says of a model of real size."""

from __future__ import annotations

import subprocess
import sys

import pytest

from compat.fit import Workload, predict
from compat.fit.budget import Bill
from compat.subject.memory import CLEAR_REFS
from compat.targets import Device, Mode

MODEL = "openai-community/gpt2"
BATCH, LENGTH = 1, 512
MEASURE = f"""
import psutil
import torch
import transformers
from transformers.initialization import no_init_weights
from compat.registry.load import default_registry_path, load_registry
from compat.subject.memory import peak_resident, reset_peak_resident

torch.set_num_threads(1)
spec = load_registry(default_registry_path()).by_id({MODEL!r})
config = transformers.AutoConfig.for_model(spec.model_type, **spec.config_arguments())
with no_init_weights():
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
model.tie_weights()
for weight in model.parameters():
    weight.data.fill_(0.01)
loaded = psutil.Process().memory_info().rss
reset_peak_resident()
with torch.no_grad():
    model(input_ids=torch.zeros({BATCH}, {LENGTH}).long(), use_cache=True)
print(loaded, peak_resident())
"""


@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="this system does not tell the peak")
def test_a_process_takes_no_more_than_has_to_be_free_and_no_less_than_is_predicted(spec_of, facts):
    prediction = predict(spec_of(MODEL), Mode.FP32, Device.CPU, Workload(BATCH, LENGTH), facts)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True
    )
    loaded, peak = map(int, done.stdout.split())
    assert peak - loaded >= prediction.forward
    assert peak <= Bill.of(prediction.needs()).host
