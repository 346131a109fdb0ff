"""Whether this process can still use its GPU."""

from __future__ import annotations

import sys


def cuda_is_broken() -> bool:
    """Whether every further call to CUDA in this process fails.

    After some errors, a failed assertion on the device or a bad address, the context stays broken
    until the process ends, and each call reports the old error again.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:  # torch.AcceleratorError is one
        return True
    return False
