"""`Subject`: a loaded target, and all that a check may touch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import nn

from compat.anatomy.anatomy import text_config
from compat.anatomy.fake_forward import PredictedForward, PredictedMemory
from compat.outcomes import CannotRun, NotApplicable, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.results.record import Measures
from compat.subject.adaptable import AdaptableModel
from compat.subject.attention import ReportedAttention, read_attention
from compat.subject.calibration import Calibration, MeanActivation, calibrate, first_usable
from compat.subject.capabilities import capability_named
from compat.subject.images import image_inputs
from compat.subject.inputs import Generation, Inputs
from compat.subject.memory import MeasuredMemory, forward_of, measure, predict
from compat.subject.pristine import Snapshot, fingerprint
from compat.subject.prompts import CALIBRATION
from compat.subject.runs import Reference, cached_keys
from compat.subject.saved import Reloaded, Store, save_and_reload
from compat.targets import Checkpoint, Target


class Subject(AdaptableModel):
    """A loaded target.

    It carries the model, its tokenizer and its anatomy, runs it with explicit settings, offers
    interventions that undo themselves, and computes once what several checks read. A wrapper
    subclasses it and overrides what differs.
    """

    lacks: Collection[str] = frozenset()
    """Capabilities that the model has and that a wrapper takes from it."""

    def __init__(
        self,
        *,
        model: nn.Module,
        tokenizer: Any,
        target: Target,
        spec: ModelSpec,
        checkpoint: Checkpoint,
        load_measures: Measures | None = None,
        reference: Callable[[Subject], Reference | None] | None = None,
        store: Store | None = None,
    ) -> None:
        super().__init__(
            model=model,
            tokenizer=tokenizer,
            target=target,
            spec=spec,
            checkpoint=checkpoint,
            load_measures=load_measures,
        )
        self._reference = reference
        self._store = store
        self._fingerprint: str | None = None

    # What it has

    def has(self, capability: str) -> bool:
        """Whether it has a capability. Raises UnknownCapabilityError for a name of none."""
        return capability not in self.lacks and capability_named(capability)(self)

    def require(self, *capabilities: str) -> None:
        """Raise NotApplicable unless it has every one of `capabilities`."""
        for capability in capabilities:
            if not self.has(capability):
                raise NotApplicable(f"the model has no {capability.replace('-', ' ')}")

    def final_norm(self, hidden: torch.Tensor) -> torch.Tensor:
        """A hidden state, (length, width), after the final norm where there is one."""
        norm = self.anatomy.final_norm
        if norm is None:
            return hidden
        with torch.no_grad():
            normed: torch.Tensor = norm(hidden.to(self.device, self.dtype)[None])[0]
        return normed.float().cpu()

    def image_inputs(self, seed: int) -> Inputs:
        """A text with an image in it; the pixels are drawn from `seed`."""
        self.require("vision")
        return image_inputs(self, seed)

    # What several checks read

    @cached_property
    def greedy(self) -> Generation:
        """The first tokens generated from the prompt, with a cache and hidden states."""
        return self.generate(self.text.prompt(), output_hidden_states=True)

    def calibrate(self, inputs: Inputs) -> Calibration:
        """The mean activations of a batch of prompts at every decoder block, from one forward."""
        return calibrate(self, inputs)

    def mean_activation(self, inputs: Inputs) -> MeanActivation:
        """The mean activation of one prompt at the first usable block.

        Raises NoUsableBlockError where the last, second-last, middle and first hold NaN.
        """
        means = [block[0] for block in self.calibrate(inputs).blocks]
        block = first_usable(means)
        return MeanActivation(block, means[block])

    @cached_property
    def calibration(self) -> Calibration:
        """The mean activations of ten prompts that say different things."""
        return self.calibrate(self.batch(self.read(CALIBRATION)))

    @cached_property
    def attention(self) -> ReportedAttention:
        """The attention weights over a padded batch. Raises NotApplicable where none are shown."""
        return read_attention(self)

    @cached_property
    def cached_key_value_heads(self) -> int:
        """Key-value heads in the model's own cache. Raises NotApplicable where it keeps none."""
        output = self.forward(self.text.inputs.first(4), use_cache=True)
        latent = getattr(text_config(self.model), "kv_lora_rank", None)
        keys = cached_keys(output)
        if keys is None:
            raise NotApplicable("the model keeps no keys and values")
        if keys.shape[-1] == latent:
            raise NotApplicable("the model keeps a latent in the place of keys and values")
        return int(keys.shape[1])

    @cached_property
    def reference(self) -> Reference:
        """The run its mode is compared with. Raises CannotRun where it can't be had here."""
        found = None if self._reference is None else self._reference(self)
        if found is None:
            raise CannotRun(
                Reason(
                    ReasonCode.NO_REFERENCE,
                    "no reference here: the unquantized checkpoint can't be run on this machine",
                    "run the reference mode of this model on a machine that it fits",
                )
            )
        self.measure("reference_loads", found.loads)
        return found

    @cached_property
    def reloaded(self) -> Reloaded:
        """What it was saved as, and what a load of that came to.

        Raises NotApplicable where it can't be saved, and whatever saving and loading raise.
        """
        if self._store is None:
            raise NotApplicable("nothing here loads what it was saved as")
        return save_and_reload(self, self._store)

    @cached_property
    def predicted_memory(self) -> PredictedMemory:
        """What its config says that it takes. Raises NotApplicable where that can't be known."""
        return predict(self)

    @property
    def predicted_forward(self) -> PredictedForward:
        """The part of it that a forward takes. Raises NotApplicable where that depends on data."""
        return forward_of(self.predicted_memory)

    @cached_property
    def measured_memory(self) -> MeasuredMemory:
        """What the forward that is predicted took."""
        return measure(self)

    # What it must be afterwards

    def warm_up(self) -> None:
        """Run once and take the fingerprint that the weights must keep.

        bitsandbytes may rearrange its weights at the first forward, so it is taken after.
        """
        self.forward(self.text.inputs)
        self._fingerprint = fingerprint(self.model)

    @contextmanager
    def pristine(self) -> Iterator[None]:
        """Raise NotPristineError on leaving if what happened inside left a trace on the model."""
        before = Snapshot.of(self.model)
        yield
        before.require_equal(Snapshot.of(self.model))

    def fingerprint_unchanged(self) -> bool:
        """Whether the bytes of all weights are what they were after the warm-up.

        Raises RuntimeError without a warm-up.
        """
        if self._fingerprint is None:
            raise RuntimeError("a subject is warmed up before its fingerprint means anything")
        return fingerprint(self.model) == self._fingerprint
