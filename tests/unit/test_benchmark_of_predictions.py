"""The benchmark of predicted memory: what it compares, and which error it leads with."""

from __future__ import annotations

from benchmarks.prediction import _compared, _largest_errors


def test_an_error_is_how_far_the_prediction_is_off_as_a_share_of_what_was_measured():
    found = _compared(predicted={"weights": 95}, measured={"weights": 100})
    assert found["error"] == {"weights": -0.05}


def test_it_leads_with_the_largest_error_of_either_sign_by_device_and_kind_of_mode():
    cases = {
        "a cpu fp32": {"error": {"weights": 0.01}},
        "b cpu bf16": {"error": {"weights": -0.03}},
        "a cpu nf4": {"error": {"weights": 0.02}},
        "a gpu nf4": {"error": {"weights": -0.07}},
    }
    assert _largest_errors(cases) == {
        "largest_error_cpu_float_weights": -0.03,
        "largest_error_cpu_quantized_weights": 0.02,
        "largest_error_gpu_quantized_weights": -0.07,
    }
