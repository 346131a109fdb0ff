"""Inside the attention function: the one place that knows each head by its queries and keys.

What is seen and changed here depends on neither the output projection nor any weight, and works
for every implementation that goes through torch's scaled dot product or a softmax. A gate
elsewhere is held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from compat.interventions.gates import Gates, GateSite

SCALED_DOT_PRODUCT = "scaled_dot_product_attention"
SOFTMAX = "softmax"
MATRIX_PRODUCT = "matmul"
WEIGHING = (SCALED_DOT_PRODUCT, SOFTMAX)
COMPARING = (SCALED_DOT_PRODUCT, MATRIX_PRODUCT)

Around = Callable[[int, str, torch.Tensor, tuple[Any, ...], Mapping[str, Any]], torch.Tensor]
"""Called with a site's index, the function's name, what it gave, and its arguments."""


class _InsideAttention(TorchFunctionMode):
    """Hands what the named functions of the present site give to `around`."""

    def __init__(self, around: Around, names: Collection[str]) -> None:
        super().__init__()
        self.entered: list[int] = []
        """Indices of the sites that are running, the innermost last."""
        self._around = around
        self._names = names

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if self.entered and name in self._names:
            return self._around(self.entered[-1], name, output, args, kwargs)
        return output


@contextmanager
def _inside(
    sites: Sequence[GateSite], around: Around, names: Collection[str] = WEIGHING
) -> Iterator[None]:
    mode = _InsideAttention(around, names)

    def enter(index: int) -> Callable[..., None]:
        return lambda _module, _args: mode.entered.append(index)

    def leave(_module: nn.Module, _args: Any, _output: Any) -> None:
        mode.entered.pop()

    with ExitStack() as undo:
        for index, site in enumerate(sites):
            module = site.attention
            undo.callback(module.register_forward_pre_hook(enter(index)).remove)
            undo.callback(module.register_forward_hook(leave, always_call=True).remove)
        undo.enter_context(mode)
        yield


@contextmanager
def scale_heads(sites: Sequence[GateSite], gates: Gates) -> Iterator[list[int]]:
    """Multiply what each head attends to by its gate, inside the attention function.

    Yields how often each site's heads were seen: 0 where the attention is computed by a kernel
    that can't be looked into.
    """
    seen = [0] * len(sites)

    def scale(index: int, _name: str, given: torch.Tensor, _args: Any, _kwargs: Any) -> Any:
        shape = _broadcast_shape(given, sites[index].heads)
        if shape is None:
            return given
        seen[index] += 1
        own = gates[index].to(given)
        repeats = given.shape[0] // own.numel() if len(shape) == 3 else 1
        return given * own.repeat(repeats).view(shape)

    with _inside(sites, scale):
        yield seen


@contextmanager
def attention_weights(sites: Sequence[GateSite]) -> Iterator[list[list[torch.Tensor]]]:
    """Collect the attention weights of every call of each site.

    Yields, a site, tensors (batch, heads, queries, keys) in float32; a sink is one key more.
    """
    collected: list[list[torch.Tensor]] = [[] for _ in sites]

    def collect(index: int, name: str, given: torch.Tensor, args: Any, kwargs: Any) -> Any:
        weights = given if name == SOFTMAX else scaled_dot_product_weights(*args, **kwargs)
        heads = sites[index].heads
        if _broadcast_shape(weights, heads) is not None:
            if weights.dim() == 3:
                weights = weights.reshape(-1, heads, *weights.shape[1:])
            collected[index].append(weights.detach().float())
        return given

    with _inside(sites, collect):
        yield collected


QueriesAndKeys = tuple[torch.Tensor, torch.Tensor]


@contextmanager
def queries_and_keys(sites: Sequence[GateSite]) -> Iterator[list[list[QueriesAndKeys]]]:
    """Collect the queries and keys of every call of each site, their positions put in.

    Yields, a site, pairs of tensors (batch, heads, length, width) in float32, as the kernel is
    given them or, where attention is computed step by step, as they are multiplied.
    """
    collected: list[list[QueriesAndKeys]] = [[] for _ in sites]

    def collect(index: int, name: str, given: torch.Tensor, args: Any, kwargs: Any) -> Any:
        fused = name == SCALED_DOT_PRODUCT
        query = kwargs["query"] if "query" in kwargs else args[0]
        key = kwargs["key"] if "key" in kwargs else args[1]
        if not fused:
            key = key.mT
        compares = fused or given.shape[-2:] == (query.shape[-2], key.shape[-2])
        if query.dim() == key.dim() == 4 and query.shape[1] == sites[index].heads and compares:
            key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
            collected[index].append((query.detach().float(), key.detach().float()))
        return given

    with _inside(sites, collect, COMPARING):
        yield collected


def scaled_dot_product_weights(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """The weights, (batch, heads, queries, keys), by which the function sums its values.

    The arguments are those of `torch.nn.functional.scaled_dot_product_attention`.
    """
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = query.float() @ key.float().mT * (scale or query.shape[-1] ** -0.5)
    if is_causal:
        visible = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~visible, -torch.inf)
    if attn_mask is not None and attn_mask.dtype is torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask.float()
    return scores.softmax(-1)


def _broadcast_shape(given: torch.Tensor, heads: int) -> tuple[int, ...] | None:
    """How gates are laid over what an attention function gave; None where it has no such heads.

    The heads are dimension 1, or the rows of several sequences one after the other, or, where one
    query token meets grouped keys, the groups and their members.
    """
    shape = given.shape
    if given.dim() == 4 and shape[1] == heads:
        return (1, heads, 1, 1)
    if given.dim() >= 4 and shape[1] * shape[2] == heads:
        return (1, shape[1], shape[2], *[1] * (given.dim() - 3))
    if given.dim() == 3 and shape[0] % heads == 0:
        return (shape[0], 1, 1)
    return None
