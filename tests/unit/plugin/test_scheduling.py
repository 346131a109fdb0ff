"""The scheduler alone, with workers that only write down what they are sent."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from compat.plugin.scheduling import TargetScheduling, units_of


class FakeWorker:
    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.sent: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices):
        assert not self.shutting_down
        self.sent += indices

    def shutdown(self):
        self.shutting_down = True


def case(load: str, check: str = "answers") -> str:
    return f"t.py::test_check[{load}-{check}]"


CPU = [case(f"gpt2-twin-cpu-{mode}", check) for mode in ("fp32", "nf4", "int8") for check in "abcd"]
GPU = [case("gpt2-twin-gpu-fp32", check) for check in "abcd"]


def scheduler(collection, workers=2, gpus=()):
    """A scheduler that has handed out its first work, and its workers."""
    config = SimpleNamespace(
        getvalue=lambda name: ["popen"] * workers,
        hook=SimpleNamespace(pytest_collectreport=lambda report: None),
    )
    scheduling = TargetScheduling(config, None, lambda node: node.gateway.id in gpus)
    nodes = [FakeWorker(f"gw{index}") for index in range(workers)]
    for node in nodes:
        scheduling.add_node(node)
        scheduling.add_node_collection(node, collection)
    assert scheduling.collection_is_completed
    scheduling.schedule()
    return scheduling, nodes


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
    scheduling, (first, second) = scheduler(CPU)
    scheduling.mark_test_complete(first, 0)
    assert scheduling.remove_node(first) == CPU[1]
    clone = FakeWorker("gw2")
    scheduling.add_node(clone)
    scheduling.add_node_collection(clone, CPU)
    scheduling.schedule()
    done = run(scheduling, [second, clone], done=[0, 1])
    assert sorted(done) == list(range(len(CPU)))


def test_a_worker_that_dies_with_nothing_to_do_died_in_nothing():
    scheduling, (node,) = scheduler(CPU[:1], workers=1)
    scheduling.mark_test_complete(node, 0)
    assert scheduling.remove_node(node) is None


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


def test_a_late_worker_that_collected_something_else_is_sent_nothing():
    scheduling, (first, _) = scheduler(CPU)
    scheduling.remove_node(first)
    stranger = FakeWorker("gw2")
    scheduling.add_node(stranger)
    scheduling.add_node_collection(stranger, CPU[:3])
    scheduling.schedule()
    assert stranger.shutting_down
    assert stranger.sent == []


def test_workers_that_collected_different_cases_run_nothing():
    reports = []
    config = SimpleNamespace(
        getvalue=lambda name: ["popen"] * 2,
        hook=SimpleNamespace(pytest_collectreport=lambda report: reports.append(report)),
    )
    scheduling = TargetScheduling(config, None, lambda node: False)
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
