"""Running a loaded model: forwards and generation with every setting explicit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from compat.interventions.soft_prompt import draw_soft_prompt, frozen, put_before
from compat.subject.inputs import Generation, Inputs
from compat.subject.reading import ReadingModel
from compat.subject.tolerance import assert_close, rounding_step, tolerance

NEW_TOKENS = 12
"""How many tokens a check generates unless more is the point."""


class RunningModel(ReadingModel):
    """A model, its tokenizer and its text, run with explicit settings only."""

    def arguments(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        """The keyword arguments of the model's forward for these inputs, on its device.

        `position_ids` are passed wherever the forward accepts them: without them GPT-2's answers
        depend on the padding.
        """
        named: dict[str, torch.Tensor] = dict(inputs.extra)
        if inputs.encoder_ids is not None and inputs.encoder_mask is not None:
            named |= {
                "input_ids": inputs.encoder_ids,
                "attention_mask": inputs.encoder_mask,
                "decoder_input_ids": inputs.ids,
            }
        else:
            named |= {"input_ids": inputs.ids, "attention_mask": inputs.mask}
            if "position_ids" in self.forward_arguments:
                named["position_ids"] = inputs.position_ids
        return {name: tensor.to(self.device) for name, tensor in named.items()}

    def forward(self, inputs: Inputs, *, grad: bool = False, **options: Any) -> Any:
        """Run the model, without a cache unless `use_cache` says so, and return its output."""
        options = {"use_cache": False, "return_dict": True} | options
        with torch.set_grad_enabled(grad):
            return self.model(**self.arguments(inputs), **options)

    def logits(self, inputs: Inputs, *, grad: bool = False) -> torch.Tensor:
        """Logits in float32, (batch, length, vocabulary), on the CPU."""
        logits: torch.Tensor = self.forward(inputs, grad=grad).logits
        return logits.float().cpu()

    def forward_with_labels(self, inputs: Inputs, labels: torch.Tensor) -> Any:
        """Run the model with labels, (batch, length), and return its output with its loss."""
        return self.forward(inputs, labels=labels.to(self.device))

    def embed(self, inputs: Inputs) -> torch.Tensor:
        """The embedded tokens, (batch, length, width), of the stream that the model reads first."""
        ids = inputs.ids if inputs.encoder_ids is None else inputs.encoder_ids
        with torch.no_grad():
            embedding: nn.Module = self.model.get_input_embeddings()  # type: ignore[operator]
            embedded: torch.Tensor = embedding(ids.to(self.device))
        return embedded

    def logits_of_embeds(
        self, inputs: Inputs, embeds: torch.Tensor, *, grad: bool = False
    ) -> torch.Tensor:
        """Logits in float32 on the CPU, with `embeds` in the place of what `embed` embeds."""
        arguments: dict[str, Any] = self.arguments(inputs)
        arguments["inputs_embeds"] = embeds
        del arguments["input_ids"]
        with torch.set_grad_enabled(grad):
            logits: torch.Tensor = self.model(**arguments, use_cache=False).logits
        return logits.float().cpu()

    def logits_of_embeds_alone(self, inputs: Inputs, embeds: torch.Tensor) -> torch.Tensor:
        """The same without a gradient, and without telling the model of mask and positions."""
        arguments: dict[str, Any] = {"inputs_embeds": embeds}
        if self.has_encoder:
            arguments["decoder_input_ids"] = inputs.ids.to(self.device)
        with torch.no_grad():
            logits: torch.Tensor = self.model(**arguments, use_cache=False).logits
        return logits.float().cpu()

    def soft_prompt(self, length: int, *, seed: int = 0) -> torch.Tensor:
        """Random vectors, (length, width), float32, as large as the text's embedded tokens."""
        return draw_soft_prompt(self.embed(self.text.inputs), length, seed=seed)

    def frozen(self) -> AbstractContextManager[None]:
        """Let no weight ask for a gradient inside."""
        return frozen(self.model)

    def logits_after(
        self, vectors: torch.Tensor, inputs: Inputs, *, grad: bool = False
    ) -> torch.Tensor:
        """Logits in float32, (batch, length, vocabulary), on the CPU, after a soft prompt.

        `vectors`, (vectors, width), stand before the text of each row of `inputs`, in the encoder
        where there is one; no logits are given at their own positions.
        """
        embeds = self.embed(inputs)
        if inputs.encoder_mask is not None:
            embeds, mask = put_before(vectors, embeds, inputs.encoder_mask, "right")
            longer = replace(inputs, encoder_mask=mask)
        else:
            embeds, mask = put_before(vectors, embeds, inputs.mask, "left")
            longer = replace(inputs, mask=mask)
        return self.logits_of_embeds(longer, embeds, grad=grad)[:, -inputs.length :]

    def accepted_arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What of a tokenizer's output the model's forward spells out."""
        return {name: value for name, value in given.items() if name in self.forward_arguments}

    def forward_tokenized(self, given: Mapping[str, Sequence[int]]) -> torch.Tensor:
        """Logits, (1, length, vocabulary), for one text as the tokenizer gives it."""
        named = {name: torch.tensor([value], device=self.device) for name, value in given.items()}
        if self.has_encoder:
            named["decoder_input_ids"] = self.text.prompt().ids.to(self.device)
        with torch.no_grad():
            logits: torch.Tensor = self.model(**named, use_cache=False).logits
        return logits.float().cpu()

    def generate(
        self,
        inputs: Inputs,
        *,
        new_tokens: int = NEW_TOKENS,
        stop: bool = False,
        embeds: torch.Tensor | None = None,
        **options: Any,
    ) -> Generation:
        """Generate from `inputs`, greedily unless `options` say otherwise.

        Every setting is explicit: what the checkpoint's generation config holds is not used.
        `stop` lets the end of text end a row; otherwise exactly `new_tokens` are generated.
        `embeds` stand in the place of what `embed` embeds.
        """
        settings = {
            "max_new_tokens": new_tokens,
            "do_sample": False,
            "num_beams": 1,
            "use_cache": True,
            "pad_token_id": self.pad_token,
            "eos_token_id": self.tokenizer.eos_token_id if stop else None,
            "output_hidden_states": False,
            "output_logits": True,
            "return_dict_in_generate": True,
        } | options
        if self.has_encoder:
            settings["decoder_start_token_id"] = self.decoder_start()
        arguments = self.arguments(inputs)
        arguments.pop("position_ids", None)
        read = inputs.length
        if embeds is not None:
            arguments["inputs_embeds"] = embeds
            del arguments["input_ids"]
            read = inputs.length if self.has_encoder else 0  # embeddings are not given back
        # transformers fills what a given config leaves open from the model's own: a checkpoint's
        # repetition penalty would otherwise decide what is compared.
        with torch.no_grad(), self.generation_config(GenerationConfig()):
            output = self.model.generate(  # type: ignore[operator]
                **arguments, generation_config=GenerationConfig(**settings)
            )
        states = getattr(output, "decoder_hidden_states", None) or getattr(
            output, "hidden_states", None
        )
        tokens = output.sequences[:, read:].cpu()
        logits = torch.stack([step.float().cpu() for step in output.logits], dim=1)
        return Generation(tokens, logits, states)

    @contextmanager
    def generation_config(self, config: GenerationConfig) -> Iterator[None]:
        """Put another generation config in the place of the one that came with the checkpoint."""
        own = self.model.generation_config
        self.model.generation_config = config
        try:
            yield
        finally:
            self.model.generation_config = own

    def checkpoint_config_of(self, **settings: Any) -> Any:
        """As if the checkpoint had come with these generation settings."""
        return self.generation_config(GenerationConfig(**settings))

    # How exactly

    @property
    def tolerance(self) -> float:
        """What rounding explains in this mode and on this device, as a share of the range."""
        return tolerance(self.mode, self.target.device)

    @property
    def rounds_activations(self) -> bool:
        """Whether activations are rounded so coarsely that small differences mean nothing."""
        return self.tolerance > 1e-3

    def assert_close(self, actual: torch.Tensor, expected: torch.Tensor, what: str) -> float:
        """Fail unless both are equal up to the rounding of this mode; NaN never is."""
        return assert_close(actual, expected, self.mode, self.target.device, what)

    def assert_same(self, actual: torch.Tensor, expected: torch.Tensor, what: str) -> float:
        """Fail unless both are equal up to a step of the dtype; NaN never is.

        For runs of equal shapes on one device: what they have in common is computed alike.
        """
        bound = rounding_step(self.mode, self.target.device, self.dtype)
        return assert_close(actual, expected, self.mode, self.target.device, what, bound)
