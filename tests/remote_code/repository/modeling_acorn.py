"""Acorn: a small decoder with its blocks at `transformer.encoder.layers`."""

import torch
from torch import nn
from transformers import DynamicCache, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from .configuration_acorn import AcornConfig


def attention_bias(attention_mask, positions, length, dtype):
    """Additive mask, batch x 1 x queries x keys: no later token, no padding."""
    keys = torch.arange(length, device=positions.device)
    allowed = keys[None, None, None, :] <= positions[:, None, :, None]
    if attention_mask is not None:
        allowed = allowed & attention_mask[:, None, None, :length].bool()
    floor = torch.finfo(dtype).min
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(
        ~allowed, floor
    )


class AcornAttention(nn.Module):
    """Softmax attention; query, key and value from one projection, as in ChatGLM."""

    def __init__(self, config: AcornConfig, index: int):
        super().__init__()
        self.index = index
        self.heads = config.num_attention_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden, bias, cache):
        """Batch x length x hidden in and out."""
        batch, length, width = hidden.shape
        parts = self.query_key_value(hidden).view(batch, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if cache is not None:
            key, value = cache.update(key, value, self.index)
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + bias
        mixed = scores.softmax(-1) @ value
        return self.dense(mixed.transpose(1, 2).reshape(batch, length, width))


class AcornBlock(nn.Module):
    """Attention and an MLP, each after a norm."""

    def __init__(self, config: AcornConfig, index: int):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size)
        self.self_attention = AcornAttention(config, index)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size)
        self.mlp = nn.Sequential(
            nn.Linear(config.hidden_size, 2 * config.hidden_size),
            nn.GELU(),
            nn.Linear(2 * config.hidden_size, config.hidden_size),
        )

    def forward(self, hidden, bias, cache):
        """Batch x length x hidden in and out."""
        hidden = hidden + self.self_attention(self.input_layernorm(hidden), bias, cache)
        return hidden + self.mlp(self.post_attention_layernorm(hidden))


class AcornEncoder(nn.Module):
    """The stack of blocks, under the name that ChatGLM's code gives it."""

    def __init__(self, config: AcornConfig):
        super().__init__()
        self.layers = nn.ModuleList(AcornBlock(config, index) for index in range(config.num_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size)


class AcornPreTrainedModel(PreTrainedModel):
    """What transformers needs to know of Acorn."""

    config_class = AcornConfig
    base_model_prefix = "transformer"
    _no_split_modules = ("AcornBlock",)

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """`generate` would size its cache by `num_hidden_layers`; the model makes its own."""
        return False


class AcornModel(AcornPreTrainedModel):
    """Embeddings and blocks."""

    def __init__(self, config: AcornConfig):
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.encoder = AcornEncoder(config)
        self.post_init()

    def get_input_embeddings(self):
        return self.embedding

    def set_input_embeddings(self, value):
        self.embedding = value

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        use_cache=None,
        output_hidden_states=None,
        **kwargs,
    ):
        """Ids, batch x length, or embeddings, batch x length x hidden."""
        if inputs_embeds is None:
            inputs_embeds = self.embedding(input_ids)
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache()
        batch, length = inputs_embeds.shape[:2]
        past = past_key_values.get_seq_length() if past_key_values is not None else 0
        slots = torch.arange(past, past + length, device=inputs_embeds.device).expand(batch, -1)
        places = slots if position_ids is None else position_ids
        hidden = inputs_embeds + self.position(places.clamp(min=0))
        bias = attention_bias(attention_mask, slots, past + length, hidden.dtype)
        states = [hidden]
        for layer in self.encoder.layers:
            hidden = layer(hidden, bias, past_key_values)
            states.append(hidden)
        states[-1] = hidden = self.encoder.final_layernorm(hidden)
        return BaseModelOutputWithPast(
            last_hidden_state=hidden,
            past_key_values=past_key_values,
            hidden_states=tuple(states) if output_hidden_states else None,
        )


class AcornForCausalLM(AcornPreTrainedModel, GenerationMixin):
    """Acorn with a language-model head."""

    def __init__(self, config: AcornConfig):
        super().__init__(config)
        self.transformer = AcornModel(config)
        self.output_layer = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self):
        return self.output_layer

    def set_output_embeddings(self, value):
        self.output_layer = value

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        use_cache=None,
        output_hidden_states=None,
        labels=None,
        **kwargs,
    ):
        """Logits, batch x length x vocabulary, and the loss where labels are given."""
        outputs = self.transformer(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            output_hidden_states=output_hidden_states,
        )
        logits = self.output_layer(outputs.last_hidden_state)
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten()
            )
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
        )
