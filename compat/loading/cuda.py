"""Whether this process can still use its GPUs."""

from __future__ import annotations

import ctypes
import sys

DRIVER = "libcuda.so.1"
SUCCESS = 0
"""CUDA_SUCCESS of the driver's interface."""


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


def cuda_has_begun() -> bool:
    """Whether the driver is initialised in this process, so that the GPUs it shows are settled.

    `torch.cuda.is_available()` does that, and leaves no trace in torch. The driver itself refuses
    to count devices before it is initialised, and is not initialised by being asked.
    """
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return bool(driver.cuDeviceGetCount(ctypes.byref(ctypes.c_int())) == SUCCESS)
