"""Targets judged before they are loaded: what the reason says, and who is never asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compat.fit import Facts, Task, Workload
from compat.fit.judge import Fitting, Judgement, bill_of
from compat.fit.room import Room
from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.targets import Device, Mode, Target, Weights

GB = 10**9
WORKLOAD = Workload(batch=1, length=16)
LAPTOP = Room(gpus=(24 * GB,), host=64 * GB, disk=500 * GB)


def part(spec: ModelSpec, mode: Mode, **changes: object) -> tuple[Target, ModelSpec]:
    arguments = {"weights": Weights.HUB, "device": Device.GPU} | changes
    return Target(spec.id, spec.slug, mode=mode, **arguments), spec  # type: ignore[arg-type]


@pytest.fixture
def judged(facts: Facts, spec_of: Callable[[str], ModelSpec]) -> Callable[..., Judgement | None]:
    def judge(name: str, mode: Mode, room: Room = LAPTOP, **changes: object) -> Judgement | None:
        fitting = Fitting(facts, WORKLOAD, lambda: room)
        return fitting.judge((part(spec_of(name), mode, **changes),))

    return judge


def reason(judgement: Judgement | None, task: Task = Task.FORWARD) -> Reason:
    assert judgement is not None
    with pytest.raises(CannotRun) as raised:
        judgement.require(task)
    return raised.value.reason


def test_what_fits_passes_and_says_what_it_needs(judged):
    judgement = judged("llama-3.1-8b", Mode.BF16)
    judgement.require(Task.FORWARD)
    assert judgement.measures["needed_gpu_bytes"] == pytest.approx(17.6e9, rel=0.02)
    assert judgement.measures["free_gpu_bytes"] == 24 * GB


def test_what_does_not_fit_says_what_it_needs_what_there_is_and_the_nearest_modes(judged):
    found = reason(judged("llama-3.1-8b", Mode.FP32))
    assert found.code is ReasonCode.DOES_NOT_FIT
    assert found.text == "it needs 36.5 GB of GPU memory, 24.0 GB are free"
    assert found.action.startswith("choose mode bf16 (17.5 GB of GPU memory, ")
    assert " or mode fp16 (" in found.action


def test_offloading_is_proposed_with_the_main_memory_that_it_takes(judged):
    found = reason(judged("mixtral-8x7b-v0.1", Mode.NF4, Room((24 * GB,), 128 * GB, 500 * GB)))
    assert found.text.startswith("it needs 102.")
    assert "mode cpu-offload (" in found.action
    assert "of main memory)" in found.action


def test_where_no_mode_fits_the_least_is_named(judged):
    found = reason(judged("mixtral-8x7b-v0.1", Mode.BF16, Room((GB,), GB, GB)))
    assert "no mode fits here" in found.action


def test_tasks_are_judged_one_by_one(judged):
    judgement = judged("llama-3.1-8b", Mode.BF16)
    judgement.require(Task.BACKWARD)
    assert reason(judgement, Task.TRAINING).text.startswith("a gradient of every weight needs ")
    assert reason(judgement, Task.SECOND_COPY).text.startswith("a second copy needs ")


def test_a_pair_needs_room_for_both_of_its_models(facts, spec_of):
    parts = tuple(part(spec_of(name), Mode.BF16) for name in ("llama-3.2-1b", "llama-3.1-8b"))
    fitting = Fitting(facts, WORKLOAD, lambda: LAPTOP)
    both, small, large = (fitting.judge(some) for some in (parts, parts[:1], parts[1:]))
    weights = [one.predictions[0].weights_bytes for one in (small, large)]
    bill = bill_of(both.predictions, Task.FORWARD)
    assert bill.gpu > sum(weights)
    assert bill.gpu < sum(bill_of(one.predictions, Task.FORWARD).gpu for one in (small, large))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("llama-3.1-8b", {"weights": Weights.TWIN}),
        ("tiny-random-llamaforcausallm", {}),
        ("chatglm3-6b", {}),
    ],
    ids=["a twin", "plenty of room", "a class of its own"],
)
def test_what_is_never_in_question_is_not_judged(judged, name, changes):
    assert judged(name, Mode.BF16, **changes) is None


def test_a_machine_without_a_gpu_is_judged_by_its_main_memory(judged):
    judgement = judged("llama-3.1-8b", Mode.FP32, Room((), 24 * GB, 0), device=Device.CPU)
    found = reason(judgement)
    assert "of main memory, 24.0 GB are free" in found.text
    assert "mode bf16" in found.action
