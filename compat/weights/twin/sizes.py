"""How small everything in a twin becomes."""

from __future__ import annotations

VOCABULARY = 512
"""Embedding rows; a multiple of 64."""
LEAST_BLOCKS = 2
"""Blocks where all are of one kind; where they are not, as many as hold every kind."""
WIDTH = 64
"""What every width is a multiple of: 4-bit kernels ask for in_features in multiples of 64."""
INNER = 128
"""Inner width of a feed-forward."""
HEADS = 4
NARROW_HEAD = 16
"""Width of a head that is narrower than hidden width over heads, in a model twice as wide."""
LATENT_HEAD = 32
"""Width of each part of a multi-head latent attention head: with a rank of 64 it keeps the joint
projection of keys, values and rotary part at a multiple of 32."""
STATE = 16
"""State size of a state-space mixer."""
EXPERTS = 4
EXPERTS_PER_TOKEN = 2
POSITIONS = 256
"""Positions where the config does not stretch its rotary embedding."""
UNSTRETCHED_POSITIONS = 64
"""`original_max_position_embeddings` where it does."""
WINDOW = 8
"""Tokens that a sliding window sees: far fewer than a lesson has."""
GLOBAL_REACH = 4
"""Radius and block size of attention that is local in blocks."""
IMAGE_PATCHES = 8
"""Patches along each side of an image."""
PATCH = 8
IMAGE_TOKENS = 4
"""Tokens that an image is pooled to, where it is."""
