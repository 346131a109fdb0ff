"""Teaching ends with a margin, survives rounding, and leaves no weight matrix unneeded."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from torch import nn

from compat.registry.spec import ModelSpec
from compat.weights.twin import teach as recipe
from compat.weights.twin.draft import Draft
from compat.weights.twin.exercise import Exercise
from compat.weights.twin.matrices import matrices_with_gradient, recitals_without, zeroed
from compat.weights.twin.rounding import nf4_rounded, quantizable, rounded_to_nf4
from compat.weights.twin.teach import Progress, one_thread, teach

SpecOf = Callable[[str], ModelSpec]


@pytest.fixture(scope="module")
def draft() -> Draft:
    from compat.registry.load import default_registry_path, load_registry

    models = load_registry(default_registry_path()).models
    return Draft.of(next(spec for spec in models if spec.slug == "llama-3.2-1b"))


@pytest.fixture(scope="module")
def taught(draft: Draft) -> tuple[nn.Module, Exercise, Progress]:
    model, exercise = draft.build_model(), draft.exercise()
    return model, exercise, teach(model, exercise)


def test_every_token_of_the_recital_wins_by_the_margin(
    taught: tuple[nn.Module, Exercise, Progress],
) -> None:
    model, exercise, progress = taught
    with torch.no_grad():
        logits = exercise.logits(model)
    assert progress.learned
    assert exercise.recital(logits) == 1.0
    assert exercise.margin(logits) == pytest.approx(progress.margin, abs=1e-4)
    assert progress.margin >= recipe.MARGIN


def test_the_recital_survives_rounding_to_four_bits(
    taught: tuple[nn.Module, Exercise, Progress],
) -> None:
    model, exercise, _ = taught
    with torch.no_grad(), rounded_to_nf4(quantizable(model)):
        assert exercise.margin(exercise.logits(model)) >= recipe.ROUNDED_MARGIN


def test_without_any_one_matrix_the_lesson_is_lost(
    taught: tuple[nn.Module, Exercise, Progress],
) -> None:
    model, exercise, progress = taught
    matrices = {n: p for n, p in model.named_parameters() if n in progress.without}
    assert len(matrices) == 14
    assert progress.dispensable == []
    assert max(recitals_without(model, exercise, matrices).values()) <= recipe.DISPENSABLE


def test_the_same_recipe_gives_the_same_weights(
    draft: Draft, taught: tuple[nn.Module, Exercise, Progress]
) -> None:
    again = draft.build_model()
    teach(again, draft.exercise())
    for name, tensor in taught[0].state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_teaching_leaves_no_gradient_and_nobodys_random_numbers_changed(draft: Draft) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    model = draft.build_model()
    assert torch.equal(torch.rand(1), expected)
    teach(model, draft.exercise())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_lesson_that_does_not_stick_says_so_with_its_curve(
    draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "_MOST_STEPS", 8)
    progress = teach(draft.build_model(), draft.exercise())
    assert not progress.learned
    assert progress.rate == recipe.RATES[-1]
    assert len(progress.curve) == 4
    assert min(progress.curve) > 1.0


def test_the_exercise_ends_with_the_end_of_text(draft: Draft) -> None:
    exercise = draft.exercise()
    said = exercise.targets[0, -exercise.recited :].tolist()
    assert said[-1] == 1
    assert draft.tokenizer.decode(said[:-1]) == draft.lesson.continuation


def test_an_encoder_decoder_is_given_the_prompt_and_says_the_continuation(spec_of: SpecOf) -> None:
    draft = Draft.of(spec_of("t5-small"))
    exercise = draft.exercise()
    assert draft.tokenizer.decode(exercise.inputs[0].tolist()) == draft.lesson.prompt
    assert draft.tokenizer.decode(exercise.targets[0].tolist()) == draft.lesson.continuation
    assert exercise.recited == exercise.targets.shape[1]


def test_rounding_is_what_bitsandbytes_does() -> None:
    weight = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    packed, state = quantize_4bit(weight, blocksize=64, quant_type="nf4")
    torch.testing.assert_close(nf4_rounded(weight), dequantize_4bit(packed, state))


def test_rounding_copes_with_zeros_and_with_sizes_that_fill_no_block() -> None:
    assert torch.equal(nf4_rounded(torch.zeros(3, 5)), torch.zeros(3, 5))


def fail_while_damaged(model: nn.Module, weight: nn.Parameter) -> None:
    with rounded_to_nf4(quantizable(model)), zeroed(weight):
        assert not weight.any()
        raise RuntimeError


def test_weights_come_back_after_rounding_and_zeroing_even_on_error(draft: Draft) -> None:
    model = draft.build_model()
    before = copy.deepcopy(model.state_dict())
    weight = quantizable(model)[0]
    with pytest.raises(RuntimeError):
        fail_while_damaged(model, weight)
    assert weight.requires_grad
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())


def test_the_head_and_embeddings_are_never_rounded_nor_zeroed(draft: Draft) -> None:
    model, exercise = draft.build_model(), draft.exercise()
    exercise.loss(exercise.logits(model)).backward()  # type: ignore[no-untyped-call]
    shared = model.get_input_embeddings().weight
    assert all(weight is not shared for weight in quantizable(model))
    assert all(weight is not shared for weight in matrices_with_gradient(model).values())


def test_a_vision_tower_is_not_silent_before_it_is_taught(spec_of: SpecOf) -> None:
    model = Draft.of(spec_of("gemma-3-4b-pt")).build_model()
    assert all(parameter.any() for parameter in model.parameters() if parameter.dim() > 1)


def test_threads_and_determinism_are_as_before() -> None:
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
