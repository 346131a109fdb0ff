"""The conftest of the projects in these tests: a loader without torch, and four checks."""

import json
import os
import signal
import sys
import time
import weakref
from contextlib import contextmanager
from pathlib import Path

from compat.checks.registry import Catalogue, check
from compat.outcomes import CannotRun, Reason, ReasonCode, Stage, in_stage
from compat.plugin.stash import CHECKS, OPENER
from compat.targets import Kind, Mode, Weights

try:
    from faults import FAULTS
except ImportError:  # only projects in which processes die have them
    FAULTS = {}

HERE = Path(__file__).parent
CATALOGUE = Catalogue()
OPENED = []


class NotPristineError(AssertionError):
    pass


class FakeSubject:
    def __init__(self, target, spec):
        self.target, self.spec = target, spec
        self.revision = "fake"
        self.load_measures = {"load_seconds": 0.25}
        self.traces = []
        self.sampled = None
        self.changed = False
        self.fit = None

    def require(self, *capabilities):
        pass

    @contextmanager
    def pristine(self):
        yield
        if self.traces:
            raise NotPristineError(f"left behind: {self.traces}")

    def fingerprint_unchanged(self):
        return not self.changed

    def take_measures(self):
        return {"tokens": 3}

    def take_sample(self):
        sampled, self.sampled = self.sampled, None
        return sampled


def act(name, subject):
    verbs = json.loads((HERE / "behave.json").read_text())
    verb = verbs.get(f"{subject.target.node_part}-{name}", verbs.get(name, "pass"))
    if verb in FAULTS:
        FAULTS[verb]()
    if verb == "fail":
        raise AssertionError(f"{name} is wrong by 0.5")
    if verb == "trace":
        subject.traces.append(name)
    if verb == "change":
        subject.changed = True
    if verb == "memory":
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    if verb == "die" and not (HERE / "died").exists():
        (HERE / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if verb == "interrupt":
        # A shell starts background jobs with the signal ignored, and CI may be one.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    if verb == "say":
        subject.sampled = "once upon a time"


@check(area="forward", catalogue=CATALOGUE)
def answers(subject):
    """It answers."""
    act("answers", subject)


@check(area="hooks", catalogue=CATALOGUE)
def hooks_fire(subject):
    """Its hooks fire."""
    act("hooks_fire", subject)


@check(area="structure", modes=[Mode.META], weights=[Weights.CONFIG], catalogue=CATALOGUE)
def facts_hold(subject):
    """Its facts hold."""
    act("facts_hold", subject)


@check(area="pairs", kind=Kind.PAIR, catalogue=CATALOGUE)
def states_carried(pair):
    """Its states are carried over."""
    act("states_carried", pair)


@contextmanager
def open_fake(planned, session):
    target = planned.target
    verb = json.loads((HERE / "behave.json").read_text()).get(target.node_part, "load")
    if target.device == "gpu" and verb != "on gpu":
        with in_stage(Stage.REQUIREMENTS):
            raise CannotRun(Reason(ReasonCode.NO_GPU, "no GPU", "run where there is one"))
    if target.weights is Weights.HUB:
        with in_stage(Stage.WEIGHTS):
            raise CannotRun(Reason(ReasonCode.NOT_DOWNLOADED, "not downloaded", "download it"))
    if verb in FAULTS and "download" in verb:
        with in_stage(Stage.WEIGHTS):
            FAULTS[verb]()
    with (HERE / "loads.log").open("a") as log:
        log.write(f"{target.node_part}\n")
    if verb in FAULTS and "download" not in verb:
        with in_stage(Stage.LOAD):
            FAULTS[verb]()
    if verb == "broken":
        with in_stage(Stage.LOAD):
            raise RuntimeError("the checkpoint is empty")
    if verb == "gated":
        with in_stage(Stage.LOAD):
            raise OSError("You are trying to access a gated repo") from GatedRepoError("403")
    held = HERE / f"held-{os.getpid()}"
    assert not held.exists(), f"{held.read_text()} is still loaded"
    alive = [one() for one in OPENED if one() is not None]
    assert not alive, f"{alive[0].target.node_part} was released and is still in memory"
    held.write_text(target.node_part)
    try:
        subject = FakeSubject(target, planned.spec)
        OPENED.append(weakref.ref(subject))
        yield subject
    finally:
        del subject
        held.unlink()


class GatedRepoError(Exception):
    pass


def pytest_configure(config):
    config.stash[CHECKS] = CATALOGUE
    config.stash[OPENER] = open_fake


def pytest_sessionfinish(session):
    heavy = sorted({"torch", "transformers"} & set(sys.modules))
    (HERE / "heavy.txt").write_text(" ".join(heavy))
