"""Adapters as plain torch modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from compat.pairs.adapters import LinearAdapter, PerceiverResampler
from compat.pairs.sizes import LATENTS, linear_adapter_parameters, resampler_parameters
from compat.pairs.statistics import EmbeddingStatistics
from compat.pairs.training import train

SOURCE, TARGET = 48, 64
Maker = Callable[..., nn.Module]
MAKERS = pytest.mark.parametrize("make", [LinearAdapter, PerceiverResampler])


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def statistics() -> EmbeddingStatistics:
    """Of embeddings whose features differ in where and how far they are spread."""
    spread = torch.linspace(0.01, 0.05, TARGET)
    return EmbeddingStatistics.of(drawn(500, TARGET) * spread + 0.02)


@pytest.fixture
def states() -> Tensor:
    """As large as residual streams are."""
    return 30 * drawn(2, 9, SOURCE, seed=1)


def weights_of(module: nn.Module) -> list[Tensor]:
    return [parameter.detach() for parameter in module.parameters()]


def test_statistics_are_those_of_each_feature() -> None:
    statistics = EmbeddingStatistics.of(torch.tensor([[0.0, 5.0], [2.0, 5.0]]))
    assert statistics.mean.tolist() == [1.0, 5.0]
    assert statistics.deviation.tolist() == [1.0, 0.0]
    assert statistics.width == 2


def test_the_length_of_statistics_is_that_of_the_embeddings() -> None:
    embeddings = drawn(200, TARGET) + 0.3
    expected = embeddings.square().sum(-1).mean().sqrt()
    assert EmbeddingStatistics.of(embeddings).length == pytest.approx(float(expected), rel=1e-5)


def test_statistics_of_half_precision_are_taken_in_float32() -> None:
    assert EmbeddingStatistics.of(drawn(5, TARGET).half()).mean.dtype is torch.float32


def test_a_linear_adapter_gives_a_vector_for_each_state(
    statistics: EmbeddingStatistics, states: Tensor
) -> None:
    assert LinearAdapter(SOURCE, statistics)(states).shape == (2, 9, TARGET)


@pytest.mark.parametrize("length", [1, 2, 300])
def test_a_resampler_gives_as_many_for_any_length(
    length: int, statistics: EmbeddingStatistics
) -> None:
    resampler = PerceiverResampler(SOURCE, statistics, latents=5)
    assert resampler(drawn(3, length, SOURCE)).shape == (3, 5, TARGET)


@MAKERS
def test_latents_are_as_long_as_embeddings_whatever_the_states(
    make: Maker, statistics: EmbeddingStatistics, states: Tensor
) -> None:
    adapter = make(SOURCE, statistics)
    for scale in (1e-3, 1.0, 1e3):
        latents = adapter(states * scale).detach()
        length = float(latents.square().sum(-1).mean().sqrt())
        assert length == pytest.approx(statistics.length, rel=0.2)


@MAKERS
def test_the_same_seed_makes_the_same_weights_and_leaves_the_global_one_alone(
    make: Maker, statistics: EmbeddingStatistics
) -> None:
    torch.manual_seed(7)
    first = weights_of(make(SOURCE, statistics, seed=3))
    after = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(torch.rand(1), after)
    again, other = (weights_of(make(SOURCE, statistics, seed=seed)) for seed in (3, 4))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


@MAKERS
def test_the_generators_of_every_gpu_go_on_where_they_were(
    make: Maker, statistics: EmbeddingStatistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[list[int]] = []

    @contextmanager
    def fork_rng(devices: Sequence[int]) -> Iterator[None]:
        kept.append(list(devices))
        yield

    monkeypatch.setattr(torch.random, "fork_rng", fork_rng)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    make(SOURCE, statistics)
    assert kept == [[0, 1]]


@MAKERS
def test_the_parameters_are_as_many_as_widths_foretell(
    make: Maker, statistics: EmbeddingStatistics
) -> None:
    count = {
        LinearAdapter: linear_adapter_parameters,
        PerceiverResampler: resampler_parameters,
    }[make](SOURCE, TARGET)
    assert sum(weight.numel() for weight in weights_of(make(SOURCE, statistics))) == count


def test_latents_and_depth_count_among_the_parameters(statistics: EmbeddingStatistics) -> None:
    resampler = PerceiverResampler(SOURCE, statistics, latents=3, depth=1)
    foretold = resampler_parameters(SOURCE, TARGET, latents=3, depth=1)
    assert sum(weight.numel() for weight in weights_of(resampler)) == foretold
    assert len(PerceiverResampler(SOURCE, statistics).latents) == LATENTS


def test_a_padded_row_is_read_like_the_row_alone(
    statistics: EmbeddingStatistics, states: Tensor
) -> None:
    resampler = PerceiverResampler(SOURCE, statistics)
    mask = torch.ones(2, 9)
    mask[1, 4:] = 0
    together = resampler(states, mask)
    assert torch.allclose(together[:1], resampler(states[:1]), atol=1e-6)
    assert torch.allclose(together[1:], resampler(states[1:, :4]), atol=1e-6)


@MAKERS
def test_padding_reaches_nothing_that_is_not_padding(
    make: Maker, statistics: EmbeddingStatistics, states: Tensor
) -> None:
    adapter, mask = make(SOURCE, statistics), torch.ones(2, 9)
    mask[:, 6:] = 0
    changed = states.clone()
    changed[:, 6:] = 1e4
    before, after = adapter(states, mask), adapter(changed, mask)
    kept = 6 if make is LinearAdapter else LATENTS
    assert torch.allclose(before[:, :kept], after[:, :kept], atol=1e-6)


def test_latents_differ_from_one_another_and_with_the_source(
    statistics: EmbeddingStatistics, states: Tensor
) -> None:
    latents = PerceiverResampler(SOURCE, statistics)(states).detach()
    assert float((latents[0, 0] - latents[0, 1]).norm()) > 0.1 * statistics.length
    assert float((latents[0] - latents[1]).norm()) > 0.01 * statistics.length


@MAKERS
def test_every_parameter_gets_a_gradient(
    make: Maker, statistics: EmbeddingStatistics, states: Tensor
) -> None:
    adapter = make(SOURCE, statistics)
    (adapter(states) * drawn(TARGET, seed=2)).square().sum().backward()
    assert all(float(p.grad.norm()) > 0 for p in adapter.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in adapter.parameters())


@MAKERS
def test_training_lowers_the_loss_and_reports_every_step(
    make: Maker, statistics: EmbeddingStatistics, states: Tensor
) -> None:
    adapter = make(SOURCE, statistics)
    wanted = statistics.mean + 0.1
    losses = train(adapter, lambda: (adapter(states) - wanted).square().mean(), steps=5)
    assert len(losses) == 6
    assert losses == sorted(losses, reverse=True)


def test_training_gives_a_gradient_to_the_adapter_alone(
    statistics: EmbeddingStatistics, states: Tensor
) -> None:
    adapter, model = LinearAdapter(SOURCE, statistics), nn.Linear(TARGET, 1)
    before = weights_of(model)[0].clone()
    train(adapter, lambda: model(adapter(states)).square().mean(), steps=2)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(weights_of(model)[0], before)


def test_training_nothing_is_an_error(statistics: EmbeddingStatistics) -> None:
    adapter = LinearAdapter(SOURCE, statistics)
    with pytest.raises(RuntimeError, match="does not require grad"):
        train(adapter, lambda: torch.zeros(()), steps=1)
