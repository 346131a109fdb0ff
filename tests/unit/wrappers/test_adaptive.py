from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from compat.loading.load import load
from compat.loading.release import release
from compat.subject import Subject
from compat.subject.pristine import Snapshot, fingerprint
from compat.targets import Checkpoint, Mode, Shape
from compat.weights.local import local_spec
from compat.wrappers import Bare, Wrapper
from compat.wrappers.adaptive import Adaptive
from tests.unit.loading.tiny import target_of


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A loaded model, and all that a wrapper is given to build a subject of it."""
    import transformers as t

    folder: Path = tmp_path_factory.mktemp("llama")
    config = t.LlamaConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=258, bos_token_id=257, eos_token_id=257,
        dtype="float32",
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        t.LlamaForCausalLM(config).save_pretrained(folder)
    t.ByT5Tokenizer(extra_ids=0).save_pretrained(folder)
    spec = local_spec(folder)
    target = target_of(spec, Mode.FP32)
    checkpoint = Checkpoint(folder, target.weights, Shape(2, 32, 258))
    model = load(target, spec, checkpoint)
    yield {
        "model": model.model,
        "tokenizer": model.tokenizer,
        "target": target,
        "spec": spec,
        "checkpoint": checkpoint,
        "load_measures": model.measures,
    }
    release(model)


@contextmanager
def wrapped(loaded: dict[str, Any], wrapper: Wrapper) -> Iterator[Any]:
    subject = wrapper.wrap(**loaded)
    yield subject
    wrapper.unwrap(subject)


def read(subject: Subject) -> torch.Tensor:
    return subject.logits(subject.text.inputs)


def test_it_is_a_wrapper() -> None:
    assert isinstance(Adaptive(), Wrapper)
    assert Adaptive.name == "adaptive"


def test_an_adaptive_model_with_open_gates_is_the_bare_model(loaded: dict[str, Any]) -> None:
    with wrapped(loaded, Bare()) as bare:
        expected = read(bare)
    with wrapped(loaded, Adaptive()) as adaptive:
        assert torch.equal(read(adaptive), expected)


def test_it_adds_no_parameter_and_unwrapping_leaves_no_trace(loaded: dict[str, Any]) -> None:
    model = loaded["model"]
    before, weights = Snapshot.of(model), fingerprint(model)
    with wrapped(loaded, Adaptive()) as adaptive:
        assert fingerprint(model) == weights
        read(adaptive)
    before.require_equal(Snapshot.of(model))


def test_turning_its_gates_puts_no_further_hook_on_the_model(loaded: dict[str, Any]) -> None:
    with wrapped(loaded, Adaptive()) as adaptive:
        before = Snapshot.of(adaptive.model)
        closed = [torch.zeros(site.heads) for site in adaptive.gate_sites]
        with adaptive.gate(closed), adaptive.agency(), adaptive.skip(1.0):
            before.require_equal(Snapshot.of(adaptive.model))


@pytest.mark.parametrize(
    "adapt",
    [
        lambda subject: subject.gate(
            [torch.tensor([0.0, 1.0, 0.5, 1.0]) for _ in subject.gate_sites]
        ),
        lambda subject: subject.skip(0.25),
        lambda subject: strained(subject),
    ],
    ids=["gates", "skip connections", "agency"],
)
def test_its_own_means_do_what_the_suite_s_do_to_the_bare_model(
    loaded: dict[str, Any], adapt: Any
) -> None:
    with wrapped(loaded, Bare()) as bare, adapt(bare):
        expected = read(bare)
    with wrapped(loaded, Adaptive()) as adaptive:
        before = read(adaptive)
        with adapt(adaptive):
            assert torch.equal(read(adaptive), expected)
        assert torch.equal(read(adaptive), before)
    assert not torch.equal(expected, before)


@contextmanager
def strained(subject: Subject) -> Iterator[None]:
    with subject.agency() as agency:
        agency.observe([[1.0, 0.5, 0.0, 1.0] for _ in subject.gate_sites])
        agency.withdraw(1, 1)
        yield


def test_gates_agency_and_skip_connections_nest_in_any_order(loaded: dict[str, Any]) -> None:
    half, quarter = [torch.full((4,), 0.5)] * 2, [torch.full((4,), 0.25)] * 2
    with wrapped(loaded, Adaptive()) as adaptive:
        with adaptive.gate(half), strained(adaptive), adaptive.skip(0.5), adaptive.gate(half):
            one_way = read(adaptive)
        with adaptive.skip(0.25), strained(adaptive), adaptive.skip(0.25), adaptive.gate(quarter):
            other_way = read(adaptive)
    assert torch.equal(one_way, other_way)


def test_another_wrapper_s_subject_is_refused(loaded: dict[str, Any]) -> None:
    with wrapped(loaded, Bare()) as bare, pytest.raises(TypeError, match="Subject was not wrapped"):
        Adaptive().unwrap(bare)


def test_gradients_of_a_checkpointed_model_flow_through_its_skip_connections(
    loaded: dict[str, Any],
) -> None:
    gradients = []
    for checkpointed in (False, True):
        with wrapped(loaded, Adaptive()) as adaptive, adaptive.skip(0.5):
            model = adaptive.model.train()
            if checkpointed:
                model.gradient_checkpointing_enable({"use_reentrant": False})
            adaptive.forward(adaptive.text.inputs, grad=True).logits.square().mean().backward()
            gradients.append({n: p.grad.clone() for n, p in model.named_parameters()})
            model.zero_grad()
            model.gradient_checkpointing_disable()
            model.eval()
    torch.testing.assert_close(*gradients)
