"""The scheduler alone, with workers that only write down what they are sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from types import SimpleNamespace

import pytest

from compat.plugin.scheduling import TargetScheduling
from compat.plugin.units import units_of
from compat.targets.nodepart import load_of, slug_of


class FakeWorker:
    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.sent: list[int] = []
        self.shutting_down = False
        self.dead = False

    def send_runtest_some(self, indices):
        if self.dead:
            raise OSError("cannot send (already closed?)")
        assert not self.shutting_down
        self.sent += indices

    def shutdown(self):
        self.shutting_down = True


def case(load: str, check: str = "answers") -> str:
    return f"t.py::test_check[{load}-{check}]"


CPU = [case(f"gpt2-twin-cpu-{mode}", check) for mode in ("fp32", "nf4", "int8") for check in "abcd"]
GPU = [case("gpt2-twin-gpu-fp32", check) for check in "abcd"]


@dataclass
class FakeOverseer:
    gpus: Collection[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    given_up: list[tuple[str, int]] = field(default_factory=list)

    def owns_gpu(self, node):
        return node.gateway.id in self.gpus

    def has_begun(self, node_id):
        return node_id in self.begun

    def has_ended(self, node_id):
        return node_id in self.ended

    def expected_seconds(self, load, cases):
        return self.seconds.get(load, 0.0) * cases

    def give_up(self, node, load, deaths):
        self.given_up.append((load, deaths))


def config_of(workers, given_restarts=None):
    """What the scheduler reads of pytest's configuration."""
    session = SimpleNamespace(_max_worker_restart=4 * workers)
    return SimpleNamespace(
        getvalue=lambda name: ["popen"] * workers,
        getoption=lambda name: given_restarts,
        hook=SimpleNamespace(pytest_collectreport=lambda report: None),
        pluginmanager=SimpleNamespace(get_plugin=lambda name: session),
    )


def scheduler(collection, workers=2, overseer=None, config=None, gpus=()):
    """A scheduler that has handed out its first work, and its workers."""
    overseer = overseer or FakeOverseer(gpus)
    scheduling = TargetScheduling(config or config_of(workers), None, overseer)
    nodes = [FakeWorker(f"gw{index}") for index in range(workers)]
    for node in nodes:
        scheduling.add_node(node)
        scheduling.add_node_collection(node, collection)
    assert scheduling.collection_is_completed
    scheduling.schedule()
    return scheduling, nodes


def replacement(scheduling, collection, name="gw2"):
    """The worker that comes in the place of a dead one."""
    node = FakeWorker(name)
    scheduling.add_node(node)
    scheduling.add_node_collection(node, collection)
    scheduling.schedule()
    return node


def run(scheduling, nodes, done=()):
    """Let the workers run all they are sent, one item each in turn."""
    done = list(done)
    while scheduling.has_pending:
        for node in nodes:
            waiting = [item for item in node.sent if item not in done]
            if waiting:
                scheduling.mark_test_complete(node, waiting[0])
                done.append(waiting[0])
    return done


def test_a_target_is_one_unit_and_other_tests_are_small_pieces():
    plain = [f"t.py::test_{number}" for number in range(16)]
    units = list(units_of([*CPU, *plain, *GPU], workers=2))
    assert [len(unit.items) for unit in units] == [4, 4, 4, *[2] * 8, 4]
    assert [unit.on_gpu for unit in units][-1:] == [True]
    assert sum(unit.on_gpu for unit in units) == 1


def test_every_item_runs_once_and_each_target_on_one_worker():
    scheduling, nodes = scheduler(CPU)
    done = run(scheduling, nodes)
    assert sorted(done) == list(range(len(CPU)))
    for target in range(3):
        items = set(range(4 * target, 4 * target + 4))
        assert sum(bool(items & set(node.sent)) for node in nodes) == 1
    assert scheduling.tests_finished
    assert all(node.shutting_down for node in nodes)


def test_a_dead_worker_costs_its_present_item_and_another_takes_the_rest():
    scheduling, (first, second) = scheduler(CPU, overseer=FakeOverseer(begun=set(CPU[:2])))
    scheduling.mark_test_complete(first, 0)
    assert scheduling.remove_node(first) == CPU[1]
    clone = replacement(scheduling, CPU)
    done = run(scheduling, [second, clone], done=[0, 1])
    assert sorted(done) == list(range(len(CPU)))


def test_a_worker_that_dies_with_nothing_to_do_died_in_nothing():
    scheduling, (node,) = scheduler(CPU[:1], workers=1)
    scheduling.mark_test_complete(node, 0)
    assert scheduling.remove_node(node) is None


def test_a_worker_that_dies_before_its_item_has_begun_died_in_nothing():
    scheduling, (first, second) = scheduler(CPU)
    assert scheduling.remove_node(first) is None
    done = run(scheduling, [second, replacement(scheduling, CPU)])
    assert sorted(done) == list(range(len(CPU)))


def test_a_worker_that_dies_when_its_item_has_ended_runs_it_no_second_time():
    overseer = FakeOverseer(begun=set(CPU[:1]), ended=set(CPU[:1]))
    scheduling, (first, second) = scheduler(CPU, overseer=overseer)
    assert scheduling.remove_node(first) is None
    done = run(scheduling, [second, replacement(scheduling, CPU)], done=[0])
    assert sorted(done) == list(range(len(CPU)))


def test_a_worker_that_is_dead_before_anybody_knows_gets_its_work_taken_back():
    scheduling, (first, second) = scheduler(CPU)
    first.dead = True
    for item in range(4):
        scheduling.mark_test_complete(first, item)
    assert scheduling.remove_node(first) is None
    done = run(scheduling, [second, replacement(scheduling, CPU)], done=[0, 1, 2, 3])
    assert sorted(done) == list(range(len(CPU)))


def test_a_target_that_kills_its_third_worker_is_given_up_and_no_other():
    overseer = FakeOverseer()
    scheduling, (node,) = scheduler(CPU, workers=1, overseer=overseer)
    for victim in range(3):
        assert overseer.given_up == []
        overseer.begun.add(CPU[victim])
        assert scheduling.remove_node(node) == CPU[victim]
        node = replacement(scheduling, CPU, f"gw{victim + 1}")
    assert overseer.given_up == [("gpt2-twin-cpu-fp32", 3)]
    assert sorted(run(scheduling, [node], done=[0, 1, 2])) == list(range(len(CPU)))


def test_a_death_between_two_targets_is_charged_to_neither():
    overseer = FakeOverseer()
    scheduling, (node,) = scheduler(CPU, workers=1, overseer=overseer)
    for item in range(4):
        scheduling.mark_test_complete(node, item)
    for name in ("gw1", "gw2", "gw3"):
        assert scheduling.remove_node(node) is None
        node = replacement(scheduling, CPU, name)
    assert overseer.given_up == []


def test_what_takes_longest_begins_first():
    seconds = {"gpt2-twin-cpu-nf4": 3.0, "gpt2-twin-cpu-int8": 9.0}
    _, (first, second) = scheduler(CPU, overseer=FakeOverseer(seconds=seconds))
    assert first.sent == [8, 9, 10, 11]
    assert second.sent == [4, 5, 6, 7]


def test_without_past_durations_the_larger_target_begins_first():
    _, (first, _) = scheduler([case("bloom-twin-cpu-fp32"), *CPU])
    assert first.sent == [1, 2, 3, 4]


FIVE = [
    case(f"{model}-twin-cpu-{mode}", check)
    for model in ("bloom", "falcon", "gpt2", "llama", "phi-2")
    for mode in ("fp32", "nf4")
    for check in "ab"
]


def models_in_turn(scheduling, nodes):
    """The models that each worker gets, one name for each that it turns to."""
    run(scheduling, nodes)
    names = [[slug_of(load_of(FIVE[item])) for item in node.sent] for node in nodes]
    return [[name for name, _ in groupby(one)] for one in names]


def test_a_worker_goes_on_with_its_model_and_leaves_those_of_others_alone():
    first, second = models_in_turn(*scheduler(FIVE))
    assert first[:2] == ["bloom", "gpt2"]
    assert second[:2] == ["falcon", "llama"]
    assert len(first + second) <= 6  # at the end, both share the last


def test_a_long_target_waits_for_no_other_of_its_model():
    seconds = {load_of(item): 1.0 for item in FIVE} | {"phi-2-twin-cpu-nf4": 20.0}
    scheduling, nodes = scheduler(FIVE, overseer=FakeOverseer(seconds=seconds))
    assert nodes[0].sent[:2] == [18, 19]
    assert sorted(run(scheduling, nodes)) == list(range(len(FIVE)))


def test_workers_beyond_the_gpus_are_a_usage_error_where_every_target_needs_one():
    with pytest.raises(pytest.UsageError, match=r"2 workers for 1 GPUs, .*: -n 1"):
        scheduler(GPU, gpus={"gw0"})


def test_every_death_that_is_answered_for_may_be_replaced():
    config = config_of(workers=2)
    scheduler(CPU, config=config)
    assert config.pluginmanager.get_plugin("dsession")._max_worker_restart == 8 + 3 * 3


def test_a_persons_own_limit_of_restarts_stands():
    config = config_of(workers=2, given_restarts="1")
    scheduler(CPU, config=config)
    assert config.pluginmanager.get_plugin("dsession")._max_worker_restart == 8


def test_the_end_waits_for_what_a_dead_worker_left():
    scheduling, (node,) = scheduler(CPU[:4], workers=1)
    scheduling.remove_node(node)
    assert scheduling.has_pending
    assert not scheduling.tests_finished


def test_a_worker_without_a_gpu_takes_no_target_that_needs_one():
    scheduling, nodes = scheduler([*CPU, *GPU], gpus={"gw1"})
    run(scheduling, nodes)
    on_gpu = set(range(len(CPU), len(CPU) + len(GPU)))
    assert on_gpu <= set(nodes[1].sent)
    assert not on_gpu & set(nodes[0].sent)


def test_without_any_gpu_everybody_says_that_there_is_none():
    scheduling, nodes = scheduler(GPU)
    assert sorted(run(scheduling, nodes)) == [0, 1, 2, 3]


AUTO = [case(f"{model}-twin-gpu-auto", check) for model in ("gpt2", "opt") for check in "abcd"]
NF4 = [case("opt-twin-gpu-nf4", check) for check in "abcd"]
SPREAD = [*AUTO, *CPU, *GPU, *NF4]
FIRST_SPREAD = set(range(len(AUTO)))
ON_GPU = FIRST_SPREAD | set(range(len(AUTO) + len(CPU), len(SPREAD)))


def others_at_work_on_a_gpu(nodes, node, done) -> bool:
    left = (item for other in nodes if other is not node for item in other.sent)
    return any(item in ON_GPU and item not in done for item in left)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_what_needs_every_gpu_runs_on_one_worker_while_nobody_else_uses_any(workers):
    scheduling, nodes = scheduler(SPREAD, workers=workers, gpus={"gw0", "gw1"})
    done = []
    while scheduling.has_pending:
        for node in nodes:
            waiting = [item for item in node.sent if item not in done]
            # As a real worker, it ends its last item when it knows what is next, or that nothing is
            if len(waiting) > 1 or (waiting and node.shutting_down):
                if waiting[0] in FIRST_SPREAD:
                    assert not others_at_work_on_a_gpu(nodes, node, done)
                scheduling.mark_test_complete(node, waiting[0])
                done.append(waiting[0])
    assert sorted(done) == list(range(len(SPREAD)))
    assert sum(bool(FIRST_SPREAD & set(node.sent)) for node in nodes) == 1
    assert all(node.shutting_down for node in nodes)


def test_when_the_one_that_waits_for_every_gpu_dies_another_takes_its_place():
    overseer = FakeOverseer(gpus={"gw0", "gw1", "gw2"})
    scheduling, (first, second) = scheduler(SPREAD, overseer=overseer)
    overseer.begun.add(SPREAD[first.sent[0]])
    lost = scheduling.remove_node(first)
    clone = replacement(scheduling, SPREAD)
    done = run(scheduling, [second, clone], done=[SPREAD.index(lost)])
    assert sorted(done) == list(range(len(SPREAD)))


def test_where_no_worker_has_a_gpu_nothing_waits_for_all_of_them():
    scheduling, nodes = scheduler(SPREAD)
    assert sorted(run(scheduling, nodes)) == list(range(len(SPREAD)))


def test_a_late_worker_that_collected_something_else_is_sent_nothing():
    scheduling, (first, _) = scheduler(CPU)
    scheduling.remove_node(first)
    stranger = replacement(scheduling, CPU[:3])
    assert stranger.shutting_down
    assert stranger.sent == []


def test_workers_that_collected_different_cases_run_nothing():
    reports = []
    config = config_of(workers=2)
    config.hook.pytest_collectreport = lambda report: reports.append(report)
    scheduling = TargetScheduling(config, None, FakeOverseer())
    nodes = [FakeWorker("gw0"), FakeWorker("gw1")]
    for node, collection in zip(nodes, (CPU, CPU[1:]), strict=True):
        scheduling.add_node(node)
        scheduling.add_node_collection(node, collection)
    scheduling.schedule()
    assert [report.outcome for report in reports] == ["failed"]
    assert not any(node.sent for node in nodes)
    assert scheduling.tests_finished


def test_nothing_is_ever_taken_back_from_a_worker():
    scheduling, (node, _) = scheduler(CPU)
    with pytest.raises(NotImplementedError):
        scheduling.remove_pending_tests_from_node(node, [1])
