"""Models that generate otherwise than they should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import GenerationConfig

from compat.targets import Weights
from tests.sick.sickness import GPT2, sick
from tests.sick.surgery import (
    around_forward,
    attentions,
    change_generated,
    change_logits,
    change_output,
    modules,
)


@sick("recites_freely", says="0 tokens were generated, 12 asked for")
def only_the_prompt_comes_back(subject: Any) -> None:
    """`generate` gives the prompt back and nothing more."""
    length = subject.text.start

    def cut(output: Any) -> None:
        output.sequences = output.sequences[:, :length]

    change_generated(subject.model, cut)


@sick("recites_freely", says="1 tokens were generated, 12 asked for")
def stops_after_one_token(subject: Any) -> None:
    """`generate` does not go on after its first token, as ChatGLM3's own code under version 5."""
    length = subject.text.start

    def cut(output: Any) -> None:
        output.sequences = output.sequences[:, : length + 1]

    change_generated(subject.model, cut)


def _change_cache(subject: Any, change: Any) -> None:
    """Change what each attention's cache holds before a decoding step."""

    def attention_with_cache(inner: Any, *args: Any, **kwargs: Any) -> Any:
        cache, layer = kwargs.get("past_key_values"), inner.__self__.layer_idx
        if cache is not None and cache.get_seq_length(layer) > 1:
            change(cache.layers[layer])
        return inner(*args, **kwargs)

    for attention in attentions(subject):
        around_forward(attention, attention_with_cache)


@sick("cache_changes_nothing", says=r"\[.*\] with a cache, \[.*\] without")
@sick("recites_freely", says="says '.*' instead of")
def one_token_behind(subject: Any) -> None:
    """With a cache, each decoding step is fed the token before the last."""
    fed: list[torch.Tensor] = []

    def behind(inner: Any, *args: Any, **kwargs: Any) -> Any:
        ids = kwargs.get("input_ids")
        if ids is not None and kwargs.get("past_key_values") is not None:
            if ids.shape[1] == 1:
                kwargs["input_ids"] = fed[-1]
            fed[:] = [ids[:, -1:]]
        return inner(*args, **kwargs)

    around_forward(subject.model, behind)


@sick("cache_changes_nothing", says="cached: logits of 6 steps: differs", spares={"recites_freely"})
def cache_in_eight_bits(subject: Any) -> None:
    """Keys and values are rounded to eight bits in the cache; the tokens are still the same."""

    def round_off(layer: Any) -> None:
        layer.values = layer.values.to(torch.float8_e4m3fn).to(layer.values)

    _change_cache(subject, round_off)


@sick("cache_changes_nothing", says="cached: logits of 6 steps: differs|with a cache")
def cache_repeats_a_key(subject: Any) -> None:
    """The last key and value are overwritten in the cache by those before them."""

    def repeat(layer: Any) -> None:
        for stored in (layer.keys, layer.values):
            stored[..., -1, :] = stored[..., -2, :]

    _change_cache(subject, repeat)


@sick("cache_changes_nothing", says="cached: logits of 6 steps: differs|with a cache")
def cache_loses_the_prompt(subject: Any) -> None:
    """The values of the prompt are dropped from the cache: decoding steps see their own only."""

    def drop(layer: Any) -> None:
        layer.values[..., : subject.text.start, :] = 0

    _change_cache(subject, drop)


@sick("greedy_repeats", says=" at first, then ", shows_in={"forward", "embeds"})
def state_kept_between_generations(subject: Any) -> None:
    """A token that was generated once is forbidden for ever after."""
    said: set[int] = set()

    def forbid(logits: torch.Tensor) -> torch.Tensor:
        logits[..., list(said)] = -torch.inf
        return logits

    change_logits(subject.model, forbid)
    change_generated(subject.model, lambda output: said.update(output.sequences[0, -1:].tolist()))


@sick(
    "padded_batch_generates_as_singles",
    says=r"row 0: \[.*\] alone, \[.*\] in the batch",
    spares={"cache_changes_nothing"},
)
def rows_of_a_batch_exchanged(subject: Any) -> None:
    """The rows of a batch are sorted by length for generation and not put back."""

    def reorder(output: Any) -> None:
        output.sequences = output.sequences.flip(0)

    change_generated(subject.model, reorder)


@sick(
    "stops_at_end_of_text", says="where the text ends 3 tokens on", shows_in={"forward", "embeds"}
)
def end_of_text_never_predicted(subject: Any) -> None:
    """The head has no weight for the end of text: it is never the likeliest token."""
    end = subject.tokenizer.eos_token_id

    def silence(logits: torch.Tensor) -> torch.Tensor:
        logits[..., end] = -torch.inf
        return logits

    change_logits(subject.model, silence)


@sick("stops_at_end_of_text", says="where the text ends 3 tokens on", spares={"recites_freely"})
@sick("stops_at_given_token", says="is the end of", weights=Weights.LOCAL)
def end_of_text_not_heeded(subject: Any) -> None:
    """`generate` goes on after the end of text."""
    inner = subject.model.generate

    def generate(*args: Any, generation_config: GenerationConfig, **kwargs: Any) -> Any:
        generation_config.eos_token_id = None
        return inner(*args, generation_config=generation_config, **kwargs)

    subject.model.generate = generate


@sick(
    "stops_at_given_token",
    says="is the end of",
    weights=Weights.LOCAL,
    spares={"explicit_settings_win"},
)
@sick("stops_at_given_token", says="is the end of", model=GPT2, spares={"stops_at_end_of_text"})
def own_end_of_text_only(subject: Any) -> None:
    """`generate` stops at the end of text that the tokenizer has, and at no token it is given."""
    inner = subject.model.generate

    def generate(*args: Any, generation_config: GenerationConfig, **kwargs: Any) -> Any:
        if generation_config.eos_token_id is not None:
            generation_config.eos_token_id = subject.tokenizer.eos_token_id
        return inner(*args, generation_config=generation_config, **kwargs)

    subject.model.generate = generate


@sick("explicit_settings_win", says="as asked for, .* with another config on the model")
def own_config_merged_in(subject: Any) -> None:
    """A wrapper fills what a caller leaves open from the generation config of the checkpoint."""

    @contextmanager
    def merged(config: GenerationConfig) -> Iterator[None]:
        own = subject.model.generation_config
        settings = own.to_diff_dict() | config.to_diff_dict()
        subject.model.generation_config = GenerationConfig(**settings)
        try:
            yield
        finally:
            subject.model.generation_config = own

    subject.generation_config = merged


@sick(
    "sampling_repeats_with_seed",
    says=r"seed 7 gives \[.*\], then",
    shows_in={"forward", "gates", "embeds"},
)
def seed_ignored(subject: Any) -> None:
    """Logits are perturbed by a source of randomness of their own, that no seed reaches."""
    source = torch.Generator()
    source.manual_seed(1)

    def perturb(logits: torch.Tensor) -> torch.Tensor:
        noise = torch.rand(logits.shape, generator=source)
        return logits + 200 * noise

    change_logits(subject.model, perturb)


@sick("sampling_repeats_with_seed", says="three seeds give the same tokens: not sampled")
def sampling_is_greedy(subject: Any) -> None:
    """`do_sample` is accepted and not heeded."""
    inner = subject.model.generate

    def generate(*args: Any, generation_config: GenerationConfig, **kwargs: Any) -> Any:
        generation_config.do_sample = False
        return inner(*args, generation_config=generation_config, **kwargs)

    subject.model.generate = generate


def _change_steps(subject: Any, change: Any) -> None:
    def write(output: Any) -> None:
        output.hidden_states = change(output.hidden_states)

    change_generated(subject.model, write)


@sick("hidden_states_at_each_step", says="generation reports no hidden states when asked")
def generation_reports_no_states(subject: Any) -> None:
    """`output_hidden_states` is not handed on to generation."""
    _change_steps(subject, lambda steps: None)


@sick("hidden_states_at_each_step", says="hidden states of 11 steps for 12 tokens")
def prefill_not_reported(subject: Any) -> None:
    """The states of the prefill are not reported."""
    _change_steps(subject, lambda steps: steps[1:])


@sick("hidden_states_at_each_step", says="step 0: 2 states, 2 blocks")
def last_state_missing_in_generation(subject: Any) -> None:
    """The last hidden state is missing at every step."""
    _change_steps(subject, lambda steps: tuple(states[:-1] for states in steps))


@sick("hidden_states_at_each_step", says=r"step 1: states of length \{\d+\}, not 1")
def cache_not_used(subject: Any) -> None:
    """`use_cache` is not heeded: every step runs over the whole text again."""
    inner = subject.model.generate

    def generate(*args: Any, generation_config: GenerationConfig, **kwargs: Any) -> Any:
        generation_config.use_cache = False
        return inner(*args, generation_config=generation_config, **kwargs)

    subject.model.generate = generate


@sick("hidden_states_at_each_step", says=r"step 1: hidden states \[0, 1, 2\] hold NaN")
def nan_in_decoding_steps(subject: Any) -> None:
    """The states of decoding steps hold NaN where they are reported."""

    def spoil(output: Any) -> None:
        if output.hidden_states is not None and output.hidden_states[0].shape[1] == 1:
            output.hidden_states = tuple(state * torch.nan for state in output.hidden_states)

    change_output(subject.model, spoil)


@sick(
    "blocks_fire_at_every_step",
    says=r"4 steps ran the blocks in the order \[0, 1, 0, 0, 0\]",
    shows_in={"attention"},
)
def hooks_bypassed_in_decoding(subject: Any) -> None:
    """A fast path for single tokens calls a block's forward directly: no hook on it fires."""
    blocks = subject.model.model.layers
    last = modules(subject)[-1]

    class Stand(torch.nn.Module):
        """Stands in the list for the block and calls it, past its hooks for single tokens."""

        def __call__(self, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            run = last.forward if hidden.shape[1] == 1 else last
            return run(hidden, *args, **kwargs)

    around_forward(subject.model.model, _with_member(blocks, Stand()))


def _with_member(blocks: Any, member: Any) -> Any:
    """Run with another last member in a list of blocks than the one it shows."""

    def around(inner: Any, *args: Any, **kwargs: Any) -> Any:
        shown = blocks[-1]
        blocks[-1] = member
        try:
            return inner(*args, **kwargs)
        finally:
            blocks[-1] = shown

    return around
