"""A model at its full size on fake tensors: what its weights and its runs take of memory.

Built from a config in a moment, without weights, network or GPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import cross_entropy

from compat.anatomy.block_kinds import KindsOfBlocks, repeated_blocks
from compat.anatomy.fake_forward import NEEDS_DATA, build_fake, supported_attention
from compat.anatomy.kv_cache import cache_bytes, cache_of
from compat.anatomy.live_storage import LiveStorage, TooManyOperationsError
from compat.anatomy.matrices import BYTES_PER_ELEMENT, quantizable, quantized_bytes
from compat.anatomy.meta_build import AUTO_CLASSES, ModelKind
from compat.anatomy.sampled_run import SampledRun
from compat.anatomy.size_facts import NotPredictableError, RunFacts, WeightFacts
from compat.anatomy.unknown_values import AtMost

MOST_OPERATIONS = 50_000
"""Of a forward. Attention and its feed-forward take 130 to 250 a block; a recurrence that is
scanned token by token in Python takes as many times more as there are tokens."""
STACKED = 3
"""Dimensions of a stack of matrices."""
SCANNED = {False: (16, 32), True: (4, 8)}
"""Lengths at which such a model is run, by whether backward, too: what it takes grows with the
length in a straight line, which a forward is on from 16 tokens and a backward from the first."""


class FakeModel:
    """A model of full size whose tensors hold no data."""

    def __init__(
        self,
        model_type: str,
        arguments: Mapping[str, Any],
        kind: ModelKind,
        *,
        dtype: torch.dtype,
        attention: str,
        every_block: bool = False,
    ) -> None:
        """Build transformers' own class for a config, in a dtype, with an attention implementation.

        `every_block`: run all blocks, where otherwise a few of each kind stand for the others.
        Raises NotPredictableError where transformers has no such class.
        """
        config = _config(model_type, arguments)
        model_class = _class_of(config, kind)
        self.dtype = dtype
        self._has_encoder = bool(getattr(config, "is_encoder_decoder", False))
        self._scans: dict[int, bool] = {}
        """By length, whether it is too much to be run in full."""
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        with self._mode, _quietly():
            self._model = build_fake(
                model_class,
                config,
                # Models look for infinities in float16, and fused experts run on fake tensors in
                # bfloat16 only; both take two bytes.
                torch.bfloat16 if dtype is torch.float16 else dtype,
                supported_attention(model_class, attention),
                asked=dtype,
            )
        self._repeated = () if every_block else repeated_blocks(self._model)
        self._agree: set[bool] = set()
        """Whether blocks of a kind were seen to take the same, in a forward, in a backward."""

    @property
    def runs_every_block(self) -> bool:
        """Whether it does: as asked, with few blocks, or where no block can stand for another."""
        return not self._repeated

    def weights(self) -> WeightFacts:
        """Count the weights in every form that a mode stores them in."""
        parameters = _unique(self._model.named_parameters())
        buffers = _unique(self._model.named_buffers())
        matrices = list(quantizable(self._model))
        replaced = [parameters[matrix.name] for matrix in matrices]
        plain = self._by_dtype((*parameters.values(), *buffers.values()))
        left = plain - self._by_dtype(replaced)
        narrow = {
            scheme: sum(quantized_bytes(matrix, scheme) for matrix in matrices)
            for scheme in BYTES_PER_ELEMENT
        }
        return WeightFacts(
            by_dtype=dict(plain),
            quantized={scheme: dict(left + Counter({scheme: narrow[scheme]})) for scheme in narrow},
            buffers=_bytes(buffers.values()),
            trainable={"": _bytes(parameters.values())}
            | dict.fromkeys(narrow, _bytes(parameters.values()) - _bytes(replaced)),
            largest_matrix=max((tensor.nbytes for tensor in replaced), default=0),
            largest_module=max(map(_own_bytes, self._model.modules())),
            largest_stack=max(map(_stack_bytes, self._model.modules())),
            largest_unsplit=max(_bytes(part.parameters()) for part in _unsplit(self._model)),
        )

    def forward(self, batch: int, length: int) -> RunFacts:
        """What a forward of token ids takes, cache included; in an encoder-decoder on both sides.

        Raises NotPredictableError where that depends on data.
        """
        return self._run_or_draw(batch, length, backward=False)

    def backward(self, batch: int, length: int) -> RunFacts:
        """What a forward and a backward take that leave the weights alone.

        The gradient is that of the embedded tokens, as a soft prompt and an adapter have it; the
        loss is the cross entropy of the logits in float32. Raises as `forward` does.
        """
        if length not in self._scans:
            self.forward(batch, length)  # tells whether it does
        return self._run_or_draw(batch, length, backward=True)

    def _run_or_draw(self, batch: int, length: int, *, backward: bool) -> RunFacts:
        """Run it, or draw a straight line through two short runs where it scans in Python."""
        if not self._scans.get(length):
            try:
                facts = self._run(batch, length, backward=backward)
            except TooManyOperationsError:
                self._scans[length] = True
            else:
                self._scans[length] = False
                return facts
        lengths = SCANNED[backward]
        if length <= lengths[-1]:
            return self._run(batch, length, backward=backward, bounded=False)
        short, longer = (self._run(batch, one, backward=backward, bounded=False) for one in lengths)
        return RunFacts(
            peak=_extended(lengths, (short.peak, longer.peak), length),
            cache=None
            if short.cache is None or longer.cache is None
            else _extended(lengths, (short.cache, longer.cache), length),
        )

    def _run(self, batch: int, length: int, *, backward: bool, bounded: bool = True) -> RunFacts:
        limit = MOST_OPERATIONS if bounded and not backward else None
        if self._repeated:
            stacks = [replace(stack, agree=backward in self._agree) for stack in self._repeated]
            try:
                facts = self._run_blocks(stacks, batch, length, backward, limit)
            except (NotPredictableError, TooManyOperationsError):
                raise
            except Exception:  # whatever a model says to blocks that do nothing
                self._repeated = ()
            else:
                self._agree.add(backward)
                return facts
        return self._run_blocks((), batch, length, backward, limit)

    def _run_blocks(
        self,
        repeated: Sequence[KindsOfBlocks],
        batch: int,
        length: int,
        backward: bool,
        limit: int | None,
    ) -> RunFacts:
        """Run it, of the repeated blocks only those that stand for them all."""
        known = chain(self._model.parameters(), self._model.buffers())
        with ExitStack() as stack:
            stack.enter_context(self._mode)
            stack.enter_context(_quietly())
            inputs = {name: torch.zeros(batch, length).long() for name in self._inputs()}
            stack.enter_context(torch.set_grad_enabled(backward))
            stack.enter_context(_gradient_at_embeddings(self._model, enabled=backward))
            stack.enter_context(AtMost())  # type: ignore[no-untyped-call]
            storage = stack.enter_context(
                LiveStorage((*known, *inputs.values()), most_operations=limit)
            )
            run = stack.enter_context(SampledRun(repeated, storage, limit))
            try:
                output = self._model(**inputs, use_cache=not backward)
                if backward:
                    labels = next(iter(inputs.values())).flatten()
                    loss = cross_entropy(output.logits.flatten(0, 1).float(), labels)
                    torch.autograd.backward(loss)
            except NEEDS_DATA as error:
                raise NotPredictableError(f"what it does depends on data ({error})") from error
            cache = None if backward else cache_of(output)
            course = run.course(None if cache is None else cache_bytes(cache))
        return RunFacts(course.peak, None if cache is None else course.cache)

    def _inputs(self) -> tuple[str, ...]:
        return ("input_ids", "decoder_input_ids") if self._has_encoder else ("input_ids",)

    def _by_dtype(self, tensors: Iterable[Tensor]) -> Counter[str]:
        """Bytes by dtype, what was built in bfloat16 for float16 under the latter's name."""
        total: Counter[str] = Counter()
        for tensor in tensors:
            dtype = self.dtype if tensor.dtype is torch.bfloat16 else tensor.dtype
            total[str(dtype).removeprefix("torch.")] += tensor.nbytes
        return total


def _config(model_type: str, arguments: Mapping[str, Any]) -> Any:
    # Weights that are stored quantized are built as what they are unpacked to.
    taken = {name: value for name, value in arguments.items() if name != "quantization_config"}
    try:
        return transformers.AutoConfig.for_model(model_type, **taken)
    except ValueError as error:
        raise NotPredictableError(f"transformers has no model of type {model_type}") from error


def _class_of(config: Any, kind: ModelKind) -> Any:
    """The class that transformers builds for a config."""
    from transformers.models.auto.auto_factory import _get_model_class

    mapping = getattr(transformers, AUTO_CLASSES[kind])._model_mapping
    if type(config) not in mapping:
        raise NotPredictableError(f"transformers loads no {type(config).__name__} as {kind}")
    return _get_model_class(config, mapping)


@contextmanager
def _gradient_at_embeddings(model: nn.Module, *, enabled: bool) -> Iterator[None]:
    """Let what every embedding puts out ask for a gradient, and no weight."""
    model.requires_grad_(False)
    with ExitStack() as undo:
        for module in model.modules() if enabled else ():
            if isinstance(module, nn.Embedding):
                undo.callback(module.register_forward_hook(_ask_for_gradient).remove)
        yield


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what transformers has to say of a model that nobody is going to use."""
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(level)


def _ask_for_gradient(_module: nn.Module, _arguments: Any, output: Tensor) -> Tensor:
    return output.requires_grad_()


def _unique(named: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors by name, each storage once."""
    storages: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in named:
        storages.setdefault(tensor.untyped_storage()._cdata, (name, tensor))
    return dict(storages.values())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _own_bytes(module: nn.Module) -> int:
    return _bytes(module.parameters(recurse=False))


def _stack_bytes(module: nn.Module) -> int:
    return _bytes(one for one in module.parameters(recurse=False) if one.dim() == STACKED)


def _unsplit(model: nn.Module) -> Iterator[nn.Module]:
    """The parts that the model's class keeps in one piece, and the leaves."""
    whole = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in whole or not any(module.children()):
            yield module


def _extended(lengths: tuple[int, int], counted: tuple[int, int], length: int) -> int:
    """A straight line through what was counted at two lengths, further on."""
    (first, second), (short, longer) = lengths, counted
    return longer + (longer - short) * (length - second) // (second - first)
