"""Sees to it that a CUDA error which breaks its process costs the case that caused it alone."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.plugin.foreseen import Foreseen
from compat.plugin.session import SESSION
from compat.targets import Device

ACTION = "run with -n 1 or --compat-isolate: a fresh process takes over then"


class CudaGuard:
    """Looks at the GPU after a failure; a worker that can't use it any longer ends itself."""

    def __init__(self, *, in_worker: bool) -> None:
        self._in_worker = in_worker
        self._broken_by: str | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """After a failure of a case on the GPU, see whether the next one has a chance."""
        if call.excinfo is not None and self._broken_by is None and _is_on_gpu(item):
            from compat.loading.cuda import cuda_is_broken

            if cuda_is_broken():
                self._broken_by = item.nodeid
        return (yield)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Without a worker that can be replaced, skip what would fail for another's error."""
        if self._broken_by is not None and _is_on_gpu(item):
            text = f"{self._broken_by} has broken the CUDA context of this process"
            raise Foreseen(CannotRun(Reason(ReasonCode.NOT_RUN, text, ACTION)))

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        """End a worker when the controller knows all of its last case."""
        if self._broken_by is not None and self._in_worker:
            from compat.plugin.death import CUDA_IS_BROKEN

            os._exit(CUDA_IS_BROKEN)


def _is_on_gpu(item: pytest.Item) -> bool:
    if SESSION not in item.config.stash:
        return False
    from compat.plugin.case import asked_of

    asked = asked_of(item)
    return asked is not None and asked.planned.target.device is Device.GPU
