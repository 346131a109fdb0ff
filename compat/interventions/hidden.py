"""The hidden state inside whatever a block returns.

Of the text architectures of transformers 5.23, 153 return a tensor from their blocks, 24 a tuple
or list that begins with it. Taking `output[0]` of a tensor silently takes the first batch row.
"""

from __future__ import annotations

from typing import Any

import torch


def hidden_of(output: Any) -> torch.Tensor:
    """The hidden state, (batch, length, width), in a block's output.

    Raises TypeError for an output that holds none.
    """
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, tuple | list) and output and isinstance(output[0], torch.Tensor):
        return output[0]
    hidden = getattr(output, "hidden_states", None)
    if isinstance(hidden, torch.Tensor):
        return hidden
    raise TypeError(f"a block returned {type(output).__name__}, which holds no hidden state")


def with_hidden(output: Any, hidden: torch.Tensor) -> Any:
    """The same output with another hidden state in its place.

    Raises TypeError for an output that holds none.
    """
    if isinstance(output, torch.Tensor):
        return hidden
    if isinstance(output, tuple):
        return (hidden, *output[1:])
    if isinstance(output, list):
        return [hidden, *output[1:]]
    raise TypeError(f"a block returned {type(output).__name__}, which holds no hidden state")
