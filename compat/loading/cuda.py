"""Whether this process can still use its GPUs."""

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
        for index in range(torch.cuda.device_count()):  # the current one alone, if none is named
            torch.cuda.synchronize(index)
    except RuntimeError:  # torch.AcceleratorError is one
        return True
    return False
