"""Gates that close something else than they say, and models in which a gate means nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from compat import interventions
from tests.sick.sickness import GPT2, JAMBA, T5, sick
from tests.sick.surgery import attentions, change_hidden

ZEROED = "logits differ from those of heads zeroed inside the attention"


def _gates_changed(subject: Any, change: Any) -> None:
    """Let a wrapper apply `change` of the gates it is given."""
    usual = subject.gate
    subject.gate = lambda gates: usual([change(one) for one in gates])


def _gates_elsewhere(subject: Any, place: Any) -> None:
    """Let a wrapper put its gates on `place` of each site."""

    def gate(gates: Any) -> Any:
        sites = [replace(site, projection=place(site)) for site in subject.gate_sites]
        return interventions.gate(sites, gates.__getitem__)

    subject.gate = gate


def _gates_by_length(subject: Any, decoding: Any) -> None:
    """Let a wrapper apply `decoding` of its gates to single tokens, and its gates to all others."""

    @contextmanager
    def gate(gates: Any) -> Iterator[None]:
        handles = []
        for site, own in zip(subject.gate_sites, gates, strict=True):

            def multiply(_module: Any, args: Any, own: torch.Tensor = own) -> Any:
                single = args[0].shape[1] == 1
                return (interventions.apply_gates(args[0], decoding(own) if single else own),)

            handles.append(site.projection.register_forward_pre_hook(multiply))
        yield
        for handle in handles:
            handle.remove()

    subject.gate = gate


@sick("open_gates_are_exact", says="logits differ under open gates")
def open_gate_lets_almost_everything_through(subject: Any) -> None:
    """Gates are sigmoids of a learned number: an open one is 0.9975."""
    _gates_changed(subject, lambda gates: torch.sigmoid(12 * gates - 6))


@sick("open_gates_are_exact", says="logits differ under open gates")
def gated_projection_computed_otherwise(subject: Any) -> None:
    """With a gate on it, a projection leaves its fused kernel and rounds otherwise."""
    for site in subject.gate_sites:
        projection, usual = site.projection, len(site.projection._forward_pre_hooks)

        def rounded(
            hidden: torch.Tensor, projection: nn.Module = projection, usual: int = usual
        ) -> torch.Tensor:
            gated = len(projection._forward_pre_hooks) > usual
            return hidden.half().to(hidden) if gated else hidden

        change_hidden(projection, rounded)


@sick("open_gates_are_exact", says="logits of 3 decoding steps differ under open gates")
def open_gates_drift_in_decoding(subject: Any) -> None:
    """A wrapper lets its gates decay at every decoding step."""
    _gates_by_length(subject, lambda gates: 0.99 * gates)


@sick("closed_gates_remove_their_heads", says=ZEROED, spares={"open_gates_are_exact"})
@sick("closed_gates_hold_in_generation", says="decoding steps", spares={"open_gates_are_exact"})
def gate_on_the_other_head_of_its_group(subject: Any) -> None:
    """The two query heads of each key-value head have changed places under the gates."""
    _gates_changed(subject, lambda gates: gates.unflatten(0, (-1, 2)).flip(1).flatten())


@sick("closed_gates_remove_their_heads", says=ZEROED, spares={"open_gates_are_exact"})
def gates_by_key_value_head(subject: Any) -> None:
    """A gate is applied to a whole group of query heads: that of the group's first head."""
    _gates_changed(subject, lambda gates: gates[::2].repeat_interleave(2))


@sick("closed_gates_remove_their_heads", says=ZEROED, spares={"open_gates_are_exact"})
def gate_on_the_queries(subject: Any) -> None:
    """The gates are on the output of the query projection: open is exact, closed changes much."""

    @contextmanager
    def gate(gates: Any) -> Iterator[None]:
        handles = [
            attention.q_proj.register_forward_hook(
                lambda _module, _args, output, own=own: interventions.apply_gates(output, own)
            )
            for attention, own in zip(attentions(subject), gates, strict=True)
        ]
        yield
        for handle in handles:
            handle.remove()

    subject.gate = gate


@sick("closed_gates_remove_their_heads", says=ZEROED, model=GPT2)
def gate_on_the_projection_before(subject: Any) -> None:
    """The gates are at the input of the fused query, key and value projection."""
    _gates_elsewhere(subject, lambda site: site.attention.c_attn)


@sick("closed_gates_remove_their_heads", says=ZEROED, model=T5, spares={"open_gates_are_exact"})
def cross_attention_gated_as_self_attention(subject: Any) -> None:
    """The gates of the cross-attention are on the self-attention of the same block."""
    sites = subject.gate_sites
    own = {site.block: site.projection for site in sites if site.kind == "self"}
    _gates_elsewhere(subject, lambda site: own[site.block])


@sick("closed_gates_remove_their_heads", says=ZEROED, model=JAMBA, spares={"open_gates_are_exact"})
def closed_gate_is_almost_closed(subject: Any) -> None:
    """A closed gate is 0.001, which is what a published pruning script sets."""
    _gates_changed(subject, lambda gates: gates.clamp(min=0.001))


@sick("closed_gates_remove_their_heads", says=ZEROED, spares={"open_gates_are_exact"})
def heads_interleaved_in_the_projection(subject: Any) -> None:
    """The gates take a head's share for every fourth number instead of for a run of numbers."""

    @contextmanager
    def gate(gates: Any) -> Iterator[None]:
        handles = []
        for site, own in zip(subject.gate_sites, gates, strict=True):

            def multiply(_module: Any, args: Any, own: torch.Tensor = own) -> Any:
                return (args[0] * own.repeat(args[0].shape[-1] // len(own)),)

            handles.append(site.projection.register_forward_pre_hook(multiply))
        yield
        for handle in handles:
            handle.remove()

    subject.gate = gate


@sick("closed_gates_remove_their_heads", says=ZEROED, shows_in={"forward", "generation"})
def heads_normed_together_before_the_projection(subject: Any) -> None:
    """A norm over all heads stands before the projection: without one head the others grow."""
    for attention in attentions(subject):
        width = attention.o_proj.in_features
        attention.o_proj.register_forward_pre_hook(
            lambda _module, args, width=width: (nn.functional.rms_norm(args[0], (width,)),)
        )


@sick(
    "closed_gates_remove_their_heads",
    says="closed move no logit",
    shows_in={"forward", "generation"},
)
def attention_never_heard(subject: Any) -> None:
    """What attention puts out is thrown away, in every block."""
    for attention in attentions(subject):
        change_hidden(attention, torch.zeros_like)


@sick(
    "closed_gates_hold_in_generation",
    says=r"decoding steps \[1, 2\]",
    spares={"closed_gates_remove_their_heads"},
)
def gates_forgotten_in_decoding(subject: Any) -> None:
    """A wrapper gates the prompt and decodes without its gates."""
    _gates_by_length(subject, torch.ones_like)


@sick("gates_leave_nothing_behind", says="gates add to or take from the model: .*gate")
def gates_are_parameters(subject: Any) -> None:
    """A wrapper registers its gates as parameters of the model, which saves and trains them."""
    usual = subject.gate

    @contextmanager
    def gate(gates: Any) -> Iterator[None]:
        with usual(gates):
            for site, own in zip(subject.gate_sites, gates, strict=True):
                site.attention.register_parameter("gate", nn.Parameter(own))
            yield
            for site in subject.gate_sites:
                del site.attention.gate

    subject.gate = gate


@sick(
    "gates_leave_nothing_behind",
    says="not what they were before the gates",
    shows_in={"forward", "generation"},
)
def gates_write_into_the_weights(subject: Any) -> None:
    """A wrapper closes gates by zeroing columns of the projection, and can't bring them back."""

    @contextmanager
    def gate(gates: Any) -> Iterator[None]:
        for site, own in zip(subject.gate_sites, gates, strict=True):
            weight = site.projection.weight.data
            weight.copy_(interventions.apply_gates(weight, own))
        yield

    subject.gate = gate
