"""Plans: machines read, targets placed on the smallest that holds them, the file read again."""

from __future__ import annotations

import pytest

from compat.cluster.expected import SECONDS_A_CASE, SECONDS_A_GIGABYTE, Durations
from compat.cluster.machine import BOUNDLESS, Machine
from compat.cluster.plan import Chosen, Plan, PlanFileError, read_plan, write_plan
from compat.cluster.planning import Wish, make_plan
from compat.fit.facts import Facts
from compat.outcomes import Outcome, Stage
from compat.registry.load import default_registry_path, load_registry
from compat.results.record import CaseRecord
from compat.targets import Device, Mode, Target, Weights
from compat.targets.plan import PlannedTarget


@pytest.fixture(scope="module")
def registry():
    return load_registry(default_registry_path())


@pytest.fixture
def planned(registry):
    def make(weights=Weights.HUB, device=Device.GPU, mode=Mode.BF16, wrapper="bare"):
        spec = registry.by_id("gpt2")
        return PlannedTarget(Target(spec.id, spec.slug, weights, device, mode, wrapper), spec)

    return make


def plan_of(tmp_path, cases, *machines, **wish) -> Plan:
    parsed = tuple(map(Machine.parse, machines))
    wanted = Wish(parsed, **({"most": 8} | wish))
    return make_plan(Chosen(), cases, wanted, Durations(), Facts(tmp_path))


def case(target: str, seconds: float, run: str = "r1", outcome=Outcome.PASSED) -> CaseRecord:
    return CaseRecord(
        run=run,
        worker="main",
        execution=f"{run}/main/{target}",
        case=target,
        family="gpt2",
        area="forward",
        check=target.rpartition("/")[2],
        environment="e",
        outcome=outcome,
        stage=Stage.CHECK,
        started=f"2026-01-0{run[1:]}T00:00:00+00:00",
        seconds=seconds,
        reproduce="pytest",
    )


@pytest.mark.parametrize(
    ("text", "gpus", "host"),
    [
        ("gpu-24=24GB,64GB", (24 * 10**9,), 64 * 10**9),
        ("big=2x80GiB", (80 * 2**30,) * 2, BOUNDLESS),
        ("ubuntu-latest=cpu,16GB", (), 16 * 10**9),
    ],
)
def test_a_machine_as_it_is_written(text, gpus, host):
    machine = Machine.parse(text)
    assert (machine.room.gpus, machine.room.host) == (gpus, host)


@pytest.mark.parametrize("text", ["24GB", "a=", "=24GB", "a=lots"])
def test_what_is_no_machine_is_refused(text):
    with pytest.raises(ValueError, match=r"machine|amount"):
        Machine.parse(text)


def test_a_target_goes_to_the_smallest_machine_that_holds_it(planned, tmp_path):
    plan = plan_of(tmp_path, {planned(): 5}, "large=80GB", "small=24GB", "tiny=0.1GB", "none=cpu")
    assert [(job.machine, job.targets) for job in plan.jobs] == [("small", ("gpt2-hub-gpu-bf16",))]


def test_a_target_that_no_machine_holds_is_named_with_the_figures(planned, tmp_path):
    plan = plan_of(tmp_path, {planned(): 5}, "tiny=0.1GB")
    assert plan.jobs == ()
    assert plan.unplaced[0].target == "gpt2-hub-gpu-bf16"
    assert "of GPU memory, 100.0 MB are free" in plan.unplaced[0].reason


def test_a_model_over_all_gpus_wants_a_machine_with_several(planned, tmp_path):
    auto = planned(mode=Mode.AUTO)
    assert (
        plan_of(tmp_path, {auto: 1}, "one=80GB")
        .unplaced[0]
        .reason.startswith("it needs several GPUs")
    )
    assert plan_of(tmp_path, {auto: 1}, "one=80GB", "two=2x24GB").jobs[0].machine == "two"


def test_what_runs_on_a_cpu_leaves_the_gpus_to_others(planned, tmp_path):
    twin = planned(weights=Weights.TWIN, device=Device.CPU, mode=Mode.FP32)
    assert plan_of(tmp_path, {twin: 1}, "gpu=24GB", "plain=cpu").jobs[0].machine == "plain"
    assert plan_of(tmp_path, {twin: 1}, "gpu=24GB").jobs[0].machine == "gpu"


def test_targets_that_differ_in_the_wrapper_stay_together(planned, tmp_path):
    both = {planned(): 10, planned(wrapper="adaptive"): 10}
    (job,) = plan_of(tmp_path, both, "gpu=24GB").jobs
    assert job.targets == ("gpt2-hub-gpu-bf16",)
    gigabytes = planned().spec.checkpoint.gb
    assert job.seconds == pytest.approx(20 * SECONDS_A_CASE + gigabytes * SECONDS_A_GIGABYTE)


def test_the_newest_run_of_a_target_says_how_long_it_takes(planned):
    load = "openai-community/gpt2/hub/gpu/bf16"
    durations = Durations.of(
        [
            case(f"{load}/bare/a", 100, "r1"),
            case(f"{load}/bare/a", 3, "r2"),
            case(f"{load}/adaptive/a", 4, "r2"),
            case(f"{load}/bare/b", 0, "r3", Outcome.SKIPPED),
        ]
    )
    assert durations.expected(planned(), cases=2) == 7


def test_a_twin_never_run_takes_as_long_as_others_of_its_kind(planned):
    durations = Durations.of(
        [case("a/b/twin/cpu/fp32/bare/x", 2), case("a/c/twin/cpu/fp32/bare/x", 4)]
    )
    twin = planned(weights=Weights.TWIN, device=Device.CPU, mode=Mode.FP32)
    assert durations.expected(twin, cases=10) == 3


def test_a_plan_is_read_as_it_was_written(planned, tmp_path):
    plan = plan_of(tmp_path, {planned(): 5}, "gpu=24GB")
    write_plan(plan, tmp_path / "deep" / "plan.json")
    assert read_plan(tmp_path / "deep" / "plan.json") == plan
    with pytest.raises(PlanFileError, match="there is no job 7; the plan has 1, from 0"):
        plan.job(7)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is no plan"), ('{"schema": 2, "jobs": []}', "schema"), ('{"schema": 1}', "jobs")],
)
def test_a_file_that_is_no_plan_is_one_clear_line(tmp_path, content, message):
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(PlanFileError, match=message) as raised:
        read_plan(path)
    assert "\n" not in str(raised.value)
