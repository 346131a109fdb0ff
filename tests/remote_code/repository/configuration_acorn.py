"""Config of Acorn, a decoder that transformers has no class of."""

from transformers import PretrainedConfig


class AcornConfig(PretrainedConfig):
    """Announces its blocks as `num_layers`; there is no `num_hidden_layers`, nor an alias of it."""

    model_type = "acorn"

    def __init__(
        self,
        vocab_size: int = 256,
        hidden_size: int = 64,
        num_layers: int = 3,
        num_attention_heads: int = 4,
        max_position_embeddings: int = 256,
        **kwargs,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.num_attention_heads = num_attention_heads
        self.max_position_embeddings = max_position_embeddings
        super().__init__(**kwargs)
