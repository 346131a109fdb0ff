"""Offloaded models that show that they are."""

from __future__ import annotations

from typing import Any

import torch
from accelerate.hooks import remove_hook_from_module

from compat.anatomy.waiting import offload_hooks
from compat.targets import Mode
from tests.sick.sickness import sick
from tests.sick.surgery import around_forward, carry_beside, modules

DISK = {"mode": Mode.DISK_OFFLOAD}


@sick("weights_wait_where_asked", says="1 weights are not offloaded: model.layers.0", **DISK)
def one_weight_resident(subject: Any) -> None:
    """One weight was loaded into memory and stays there."""
    norm = modules(subject)[0].input_layernorm
    remove_hook_from_module(norm)
    norm.weight = torch.nn.Parameter(torch.ones(norm.weight.shape), requires_grad=False)


@sick("weights_wait_where_asked", says="do not wait on disk: model.layers.0.* on cpu", **DISK)
def offloaded_to_memory_instead(subject: Any) -> None:
    """What should wait on the disk was given to main memory: the two ways to offload exchanged."""
    for module in subject.model.modules():
        for hook in offload_hooks(module):
            names = [name for name, _ in module.named_parameters(recurse=False)]
            hook.weights_map = {name: hook.weights_map[name].clone() for name in names}


@sick("offloaded_equals_resident", says="offloaded logits: differs by", **DISK)
def weights_of_another_block_brought_in(subject: Any) -> None:
    """The offload index names the second block's weights for the first."""
    first, second = modules(subject)[:2]
    for name, part in first.named_modules():
        hook, other = (getattr(m, "_hf_hook", None) for m in (part, second.get_submodule(name)))
        if hasattr(hook, "weights_map") and hook.weights_map is not None:
            hook.weights_map = other.weights_map


@sick("offloaded_equals_resident", says=r"offloaded logits: differs by \d\.\d+e-0[56]", **DISK)
def norm_of_another_config(subject: Any) -> None:
    """The final norm was built from another config than the one in memory: its epsilon is twice."""
    subject.anatomy.final_norm.variance_epsilon *= 2


@sick(
    "offloaded_hooks_see_activations",
    says=r"block \d: captured state: differs by \d\.\d+e-0[56]",
    **DISK,
)
def norms_rounded(subject: Any) -> None:
    """The epsilon of the blocks' norms was rounded on its way: it is off by 1 %."""
    for block in modules(subject):
        block.post_attention_layernorm.variance_epsilon *= 1.01


@sick(
    "offloaded_hooks_see_activations",
    says="block 0: the captured state has no data",
    **DISK,
    shows_in={"anatomy"},
)
def hooks_see_empty_tensors(subject: Any) -> None:
    """What a block puts out is a tensor without data; the data are handed on beside it."""
    carry_beside(subject, lambda entering, leaving: leaving.to("meta"))


@sick("offloaded_hooks_see_activations", says="block 0: captured state: differs", **DISK)
def hooks_see_another_state(subject: Any) -> None:
    """What a hook sees is the state that entered the block, not the one that left it."""
    carry_beside(subject, lambda entering, leaving: entering)


@sick("offloaded_embeds_equal_ids", says="the offloaded embedding gives no data", **DISK)
def embedding_not_brought_in(subject: Any) -> None:
    """Called by itself, outside of a forward of the model, the embedding stays without data."""
    inside: list[bool] = []

    def model_runs(inner: Any, *args: Any, **kwargs: Any) -> Any:
        inside.append(True)
        try:
            return inner(*args, **kwargs)
        finally:
            inside.pop()

    def embed(inner: Any, *args: Any, **kwargs: Any) -> Any:
        embedded = inner(*args, **kwargs)
        return embedded if inside else embedded.to("meta")

    around_forward(subject.model, model_runs)
    around_forward(subject.model.get_input_embeddings(), embed)


@sick("offloaded_embeds_equal_ids", says="logits of the embedded tokens: differs", **DISK)
def embeds_not_scaled(subject: Any) -> None:
    """Tokens are scaled after their embedding, and embeddings that are fed in are not."""

    def scale_tokens(inner: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("input_ids") is not None:
            embedding = subject.model.get_input_embeddings()
            kwargs["inputs_embeds"] = 8 * embedding(kwargs.pop("input_ids"))
        return inner(*args, **kwargs)

    around_forward(subject.model, scale_tokens)
