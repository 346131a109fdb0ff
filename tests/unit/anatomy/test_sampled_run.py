"""A run of some blocks takes, to the byte, what a run of all of them takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compat.anatomy.block_kinds import KindsOfBlocks, kinds_of_blocks, repeated_blocks
from compat.anatomy.full_size import FakeModel
from compat.anatomy.live_storage import LiveStorage, TooManyOperationsError
from compat.anatomy.sampled_run import IrregularBlocksError, SampledRun
from compat.registry.load import default_registry_path, load_registry

SHALLOWER: dict[str, dict[str, Any]] = {
    "llama-3.2-1b": {},
    "gemma-3-270m": {},  # sliding windows, and full attention in every sixth block
    "mixtral-8x7b-v0.1": {"num_hidden_layers": 12},
    "dbrx-base": {"n_layers": 8},  # experts in a loop
    "gpt-oss-20b": {"num_hidden_layers": 12},  # sinks, fused experts, eager attention
    "ai21-jamba-1.5-mini": {"num_hidden_layers": 16},  # Mamba, attention, experts in every other
    "deepseek-v2-lite": {"num_hidden_layers": 9},  # latent attention, the first block dense
    "t5-small": {},  # two stacks; the first block of each prepares a bias for all
    "long-t5-tglobal-base": {"num_layers": 6, "num_decoder_layers": 6},
    "opt-350m": {},
    "falcon-7b": {"num_hidden_layers": 9},
    "gpt-j-6b": {"n_layer": 9},  # puts out attention weights that nobody reads
    "mpt-7b": {"n_layers": 9},
    "mamba-130m-hf": {"num_hidden_layers": 8},
}
"""Models of the registry, with fewer blocks where all of them would take long."""
REGISTRY = load_registry(default_registry_path())


def peaks(model: FakeModel, batch: int) -> tuple[int, int | None, int]:
    forward = model.forward(batch, 4)
    return forward.peak, forward.cache, model.backward(batch, 4).peak


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "bfloat16") for name in SHALLOWER), ("llama-3.2-1b", "float32")],
)
def test_some_blocks_take_what_all_take(name: str, dtype: str) -> None:
    spec = REGISTRY.by_id(name)
    arguments = spec.config_arguments() | SHALLOWER[name]
    quick, whole = (
        FakeModel(
            spec.model_type,
            arguments,
            spec.model_class.value,
            dtype=getattr(torch, dtype),
            attention="sdpa",
            every_block=every_block,
        )
        for every_block in (False, True)
    )
    # The second batch runs fewer blocks still: that they agree is known by then.
    assert [peaks(quick, batch) for batch in (1, 2)] == [peaks(whole, batch) for batch in (1, 2)]
    assert not quick.runs_every_block
    assert whole.runs_every_block


class Wide(nn.Module):
    """Takes so many times its input besides, as an object says that is no setting."""

    def __init__(self, index: int, factor: Callable[[int], int]) -> None:
        super().__init__()
        self.index = index
        self.factor = factor

    def forward(self, hidden: Tensor) -> Tensor:
        wide = torch.zeros(self.factor(self.index), *hidden.shape)
        return hidden + wide.sum(0)


def stack_of(factor: Callable[[int], int], length: int = 8) -> KindsOfBlocks:
    return kinds_of_blocks("blocks", nn.ModuleList(Wide(index, factor) for index in range(length)))


def run(stack: KindsOfBlocks, order: list[int] | None = None, most: int | None = None) -> int:
    with LiveStorage([]) as storage, SampledRun((stack,), storage, most) as sampled:
        hidden = torch.zeros(4)
        for index in order or range(len(stack.blocks)):
            hidden = stack.blocks[index](hidden)
        return sampled.course(None).peak


def test_the_first_the_last_and_two_as_far_apart_as_can_be_stand_for_all() -> None:
    stack = stack_of(lambda _: 3)
    assert stack.kinds == (0,) * 8, "an index is no difference"
    assert stack.samples == {0, 1, 6, 7}
    given_wide_its_sum_and_put_out = 1 + 3 + 1 + 1
    assert run(stack) == 4 * 4 * given_wide_its_sum_and_put_out


def test_blocks_that_differ_without_a_sign_of_it_are_found_out() -> None:
    with pytest.raises(IrregularBlocksError, match="differ"):
        run(stack_of(lambda index: index))


def test_blocks_out_of_order_are_found_out() -> None:
    with pytest.raises(IrregularBlocksError, match="in order"):
        run(stack_of(lambda _: 3), [0, 1, 2, 4, 3, 5, 6, 7])


def test_blocks_run_twice_are_found_out() -> None:
    with pytest.raises(IrregularBlocksError, match="once"):
        run(stack_of(lambda _: 3), [*range(8), *range(8)])


def test_operations_of_all_blocks_are_counted_though_some_do_not_run() -> None:
    # Three in a block: zeros, a sum, an addition.
    run(stack_of(lambda _: 3), most=3 * 8 + 1)
    with pytest.raises(TooManyOperationsError):
        run(stack_of(lambda _: 3), most=3 * 8)


def test_afterwards_every_block_runs_again() -> None:
    stack = stack_of(lambda _: 3)
    run(stack)
    assert stack.blocks[4](torch.zeros(4)) is not None
    assert not any("forward" in vars(block) for block in stack.blocks)


def test_settings_and_lists_in_the_config_tell_kinds_apart() -> None:
    class Config:
        def to_dict(self) -> dict[str, Any]:
            return {"text": {"layer_types": ["sliding", "sliding", "full"] * 4}, "other": [1, 2]}

    blocks = nn.ModuleList(nn.Linear(2, 2) for _ in range(12))
    for place, block in enumerate(blocks):
        block.window = place % 2  # type: ignore[assignment]
    assert len(set(kinds_of_blocks("blocks", blocks).kinds)) == 2
    assert len(set(kinds_of_blocks("blocks", blocks, Config()).kinds)) == 4


def test_a_stack_of_which_most_would_run_is_run() -> None:
    model = nn.Module()
    model.layers = nn.ModuleList(nn.Linear(2, width) for width in (2, 2, 3, 3, 4, 4))
    assert repeated_blocks(model) == ()


def test_a_model_whose_blocks_differ_without_a_sign_runs_every_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    plain = LlamaDecoderLayer.forward

    def growing(self: Any, hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
        kept = torch.zeros(1 + 1000 * self.self_attn.layer_idx)
        output = plain(self, hidden, *args, **kwargs)
        del kept
        return output

    monkeypatch.setattr(LlamaDecoderLayer, "forward", growing)
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 8, "vocab_size": 64}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    quick, whole = (
        FakeModel(
            "llama",
            sizes | heads,
            "causal-lm",
            dtype=torch.bfloat16,
            attention="sdpa",
            every_block=every_block,
        )
        for every_block in (False, True)
    )
    assert not quick.runs_every_block
    assert quick.forward(1, 8) == whole.forward(1, 8)
    assert quick.runs_every_block
