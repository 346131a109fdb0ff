"""Models whose weights are wider, narrower or other than asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from compat.loading.memory import footprint
from compat.targets import Mode
from tests.sick.sickness import GPT2, SLIDING, sick
from tests.sick.surgery import announce, carry_beside, change_logits, modules

POSITION = 20
"""Of a token in the text."""
LEVELS = 5
"""Of each sign."""


@sick(
    "dtype_as_asked",
    says=r"1 weights are not bfloat16: model.norm.weight \(float32\)",
    mode=Mode.BF16,
    shows_in={"anatomy"},
)
def one_parameter_in_float32(subject: Any) -> None:
    """The final norm's weight stayed in float32."""
    subject.model.model.norm.float()


@sick("dtype_as_asked", says=r"weights are not float32: .*\(float16\)", shows_in={"persistence"})
def loaded_in_half(subject: Any) -> None:
    """The loader took the checkpoint's dtype where another was asked for."""
    subject.model.half()


def _quantization_states(subject: Any) -> Iterator[Any]:
    for block in modules(subject):
        for layer in block.modules():
            state = getattr(getattr(layer, "weight", None), "quant_state", None)
            if state is not None:
                yield state


def _float_copy(layer: Any) -> nn.Linear:
    linear = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
    return linear.requires_grad_(False)


@sick(
    "weights_quantized",
    says=r"\d+% of the matrices .*left in full precision: Linear",
    mode=Mode.NF4,
    shows_in={"persistence"},
)
@sick(
    "weights_quantized",
    says=r"\d+% of the matrices .*left in full precision: Linear",
    mode=Mode.INT8,
    shows_in={"persistence"},
)
def projection_left_in_float(subject: Any) -> None:
    """The feed-forward part of one block was left out of the quantization."""
    feed_forward = modules(subject)[0].mlp
    for name, layer in list(feed_forward.named_children()):
        if hasattr(layer, "in_features"):
            setattr(feed_forward, name, _float_copy(layer))


@sick("close_to_reference", says="diverges from fp32 on cpu by", mode=Mode.NF4, model=GPT2)
def scales_off_by_a_factor(subject: Any) -> None:
    """The scales of the 4-bit matrices were themselves quantized and read back without theirs."""
    for state in _quantization_states(subject):
        state.absmax = state.absmax * 4


@sick("close_to_reference", says="diverges from fp32 on cpu by", mode=Mode.NF4)
def scales_reversed(subject: Any) -> None:
    """The scales of the 4-bit matrices are in the order of another packing."""
    for state in _quantization_states(subject):
        state.absmax = state.absmax.flip(0) * 2


@sick(
    "close_to_reference",
    says=r"diverges from fp32 on cpu by 0\.000[12]\d* nats",
    mode=Mode.BF16,
    spares={"recites_teacher_forced"},
)
def logits_scaled(subject: Any) -> None:
    """The head's product is scaled by a constant that was rounded: logits are 2 % too small."""
    change_logits(subject.model, lambda logits: 0.98 * logits)


@sick(
    "close_to_reference",
    says=r"1\.\d% of the likeliest tokens are others than in fp32 on cpu",
    mode=Mode.NF4,
    model=SLIDING,
)
def likeliest_token_overtaken(subject: Any) -> None:
    """After one token of the text the second likeliest comes before the likeliest by a hair."""

    def overtake(logits: torch.Tensor) -> torch.Tensor:
        if logits.shape[1] > POSITION:
            best = logits[:, POSITION].topk(2)
            level = best.values[:, :1] + 0.01
            logits[:, POSITION] = logits[:, POSITION].scatter(-1, best.indices[:, 1:], level)
        return logits

    change_logits(subject.model, overtake)


@sick(
    "close_to_reference",
    says=r"block 0 has a cosine of 0\.9(8[5-9]|9[0-8])\d to fp32 on cpu",
    mode=Mode.BF16,
    spares={"recites_teacher_forced"},
)
def blocks_captured_in_few_bits(subject: Any) -> None:
    """What a hook is shown is rounded to eleven levels; the model goes on with its own."""

    def rounded(_entering: torch.Tensor, leaving: torch.Tensor) -> torch.Tensor:
        step = leaving.abs().amax(-1, keepdim=True) / LEVELS
        return (leaving / step).round() * step

    carry_beside(subject, rounded)


@sick(
    "close_to_reference",
    says=r"block \d has a cosine of .* to fp32 on cpu",
    mode=Mode.BF16,
    spares={"recites_teacher_forced"},
)
def block_gives_its_own_share_only(subject: Any) -> None:
    """Blocks put out what they add to the stream, which is carried elsewhere: the logits are
    right, and what is captured is not.
    """
    carry_beside(subject, lambda entering, leaving: leaving - entering)


@sick("close_to_reference", says=r"1 blocks ran, \d+ in fp32 on cpu", mode=Mode.BF16)
def block_missing_beside_the_reference(subject: Any) -> None:
    """The narrow checkpoint was distilled: it has a block less than the reference."""
    subject.model.model.config.num_hidden_layers = 1
    subject.model.model.layers = subject.model.model.layers[:1]
    announce(subject, blocks=1)


@sick("footprint_as_predicted", says=r"weights take \d+ bytes, \d+ predicted", mode=Mode.BF16)
def float32_copy_kept(subject: Any) -> None:
    """A float32 copy of the embedding was kept beside the one in half precision."""
    embedding = subject.model.get_input_embeddings()
    embedding.register_buffer("master", embedding.weight.detach().float())
    subject.load_measures["weights_bytes"] = footprint(subject.model).stored


@sick("footprint_as_predicted", says=r"weights take \d+ bytes, \d+ predicted", mode=Mode.NF4)
def scales_of_small_groups(subject: Any) -> None:
    """The weights were quantized in groups of 8, so that the scales weigh more than expected."""
    for state in _quantization_states(subject):
        state.absmax = state.absmax.repeat_interleave(8)
    subject.load_measures["weights_bytes"] = footprint(subject.model).stored


@sick("footprint_as_predicted", says="the loader measured no weights")
def weights_not_measured(subject: Any) -> None:
    """A loader of its own did not count the bytes of what it loaded."""
    subject.load_measures["weights_bytes"] = None
