from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compat.loading.open import Opening, SharedLoad, open_load, open_subject
from compat.outcomes import Stage, stage_of
from compat.subject import NotPristineError, Subject
from compat.subject.pristine import fingerprint
from compat.targets import Mode, Target
from compat.targets.devices import this_host
from compat.weights.local import local_spec
from compat.wrappers import Bare
from compat.wrappers.adaptive import Adaptive
from tests.unit.loading.tiny import target_of


class Leaving(Bare):
    """Leaves something on the model that it was wrapped around."""

    def __init__(self, what: Callable[[Any], object]) -> None:
        self.what = what

    def unwrap(self, subject: Subject) -> None:
        self.what(subject.model)


class Failing(Bare):
    """Fails in wrapping."""

    def wrap(self, model: nn.Module, tokenizer: Any, **subject: Any) -> Subject:
        raise KeyError("no such block")


LEFT: dict[str, Callable[[Any], object]] = {
    "a hook": lambda model: model.register_forward_hook(lambda *_: None),
    "a parameter": lambda model: model.register_parameter("gate", nn.Parameter(torch.ones(4))),
    "training mode": lambda model: model.train(),
    "a frozen weight": lambda model: model.lm_head.requires_grad_(False),
}


def opened(folder: Path, mode: Mode) -> tuple[Target, Any, Opening]:
    spec = local_spec(folder)
    return target_of(spec, mode), spec, Opening(host=this_host(), local={spec.id: folder})


@pytest.fixture(params=[Mode.FP32, Mode.NF4], ids=str)
def shared(
    request: pytest.FixtureRequest, checkpoints: Callable[[str], Path]
) -> Iterator[tuple[SharedLoad, Target]]:
    target, spec, opening = opened(checkpoints("llama"), request.param)
    with open_load(target, spec, opening) as load:
        yield load, target


def test_wrappers_take_turns_on_one_model(shared: tuple[SharedLoad, Target]) -> None:
    load, target = shared
    given = []
    for wrapper in (Bare(), Adaptive(), Bare()):
        with load.wrapped(target, wrapper) as subject:
            assert subject.model is load.loaded.model
            given.append(subject.logits(subject.text.inputs))
            assert subject.fingerprint_unchanged()
    assert torch.equal(given[0], given[1])
    assert torch.equal(given[0], given[2])


@pytest.mark.parametrize("what", LEFT)
def test_what_a_wrapper_leaves_behind_is_named(
    shared: tuple[SharedLoad, Target], what: str
) -> None:
    load, target = shared
    with pytest.raises(NotPristineError), load.wrapped(target, Leaving(LEFT[what])):
        pass


def test_what_a_check_leaves_behind_is_not_the_wrapper_s(
    shared: tuple[SharedLoad, Target],
) -> None:
    load, target = shared
    with load.wrapped(target, Adaptive()) as subject:
        subject.model.register_forward_hook(lambda *_: None)


def test_a_wrapper_that_fails_is_a_failure_of_loading_and_frees_the_model(
    checkpoints: Callable[[str], Path],
) -> None:
    target, spec, opening = opened(checkpoints("llama"), Mode.FP32)
    opening = Opening(host=opening.host, local=opening.local, wrappers={"bare": Failing()})
    with pytest.raises(KeyError, match="no such block") as raised:
        open_subject(target, spec, opening).__enter__()
    assert stage_of(raised.value, Stage.CHECK) is Stage.LOAD


def test_the_load_outlives_its_wrappers_and_no_more(checkpoints: Callable[[str], Path]) -> None:
    target, spec, opening = opened(checkpoints("llama"), Mode.FP32)
    with open_load(target, spec, opening) as load:
        with load.wrapped(target, Bare()):
            before = fingerprint(load.loaded.model)
        assert fingerprint(load.loaded.model) == before
    assert load.loaded.model is None
