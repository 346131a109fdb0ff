"""What a model takes in a mode on a device, and what each task needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compat.fit.needs import Amount, Needs, Task
from compat.fit.workload import Workload
from compat.targets import Device, Mode

TRAINING_COPIES = 3
"""Of the trainable weights, beside them: two gradients of each, or one with the direction that is
made of it and the weights moved along it, which is what the checks of training hold at a time."""
LOGIT_BYTES = 4
"""Whoever reads logits here has them in float32."""


@dataclass(frozen=True)
class Prediction:
    """Bytes that a model takes, from its config alone."""

    model: str
    mode: Mode
    device: Device
    workload: Workload
    weights: Mapping[str, int]
    """Of all parameters and buffers as the mode stores them, by dtype or scheme."""
    cache: int | None
    """Of keys, values and states after a forward; None for a model that keeps nothing."""
    forward: int
    """Most that a forward holds besides the weights and its inputs."""
    backward: int
    """The same of a forward and a backward past frozen weights."""
    unpacked: int
    """One weight that a 4-bit layer unpacks while it runs. On a CPU it is allocated inside of
    bitsandbytes' operation, where counting live tensors does not see it."""
    staged: int
    """What loading holds at a time besides: weights that are turned into another dtype or into
    codes, and experts that are put together."""
    module: int
    """The most weights that one module holds of its own: brought in at a time where they are
    offloaded."""
    unsplit: int
    """The largest part that `device_map="auto"` keeps in one place."""
    buffers: int
    """The part of the weights that offloading leaves where the model computes."""
    trainable: int
    """The part of the weights that a gradient can reach."""
    vocabulary: int

    @property
    def weights_bytes(self) -> int:
        """All weights, wherever they are."""
        return sum(self.weights.values())

    @property
    def logits(self) -> int:
        """The logits of the whole batch in float32."""
        return self.workload.batch * self.workload.length * self.vocabulary * LOGIT_BYTES

    def needs(self, task: Task = Task.FORWARD, *, read: bool = False) -> Needs:
        """What a task needs in every place, without a margin.

        `read`: its logits are read in float32, as the checks of this suite do.
        """
        run = self._run(task) + self.unpacked + self._packed + (self.logits if read else 0)
        quantized = self.mode.traits.quantization is not None
        copies = self._copies(task)
        match self.mode.traits.offload, self.device:
            case None, Device.CPU:
                return Needs(host=Amount(copies, max(run, self.staged)), quantized=quantized)
            case None, Device.GPU:
                return Needs(
                    gpu=Amount(copies, max(run, self.staged)),
                    host=Amount(0, self.module + self.logits),
                    quantized=quantized,
                )
            case "auto", _:
                pinned = task in (Task.BACKWARD, Task.TRAINING)
                return Needs(gpu=Amount(0, self.unsplit + run), spread=copies, pinned=pinned)
            case "disk", Device.CPU:
                again = self.weights_bytes if task is Task.SECOND_COPY else 0
                return Needs(host=Amount(self.buffers, max(again, self._brought(task) + run)))
        computing = Amount(self.buffers, self._brought(task) + run)
        if self.mode.traits.offload == "disk":
            # Loaded to main memory first, and written to the disk from there.
            return Needs(computing, Amount(0, self.weights_bytes + self.staged), disk=copies)
        return Needs(computing, Amount(copies, self.staged))

    @property
    def _packed(self) -> int:
        """A copy of one weight, in the order in which a kernel for CPUs reads it."""
        return self.module if self.device is Device.CPU else 0

    def _run(self, task: Task) -> int:
        return self.forward if task in (Task.FORWARD, Task.SECOND_COPY) else self.backward

    def _copies(self, task: Task) -> int:
        """The weights, and what a task makes of them."""
        match task:
            case Task.SECOND_COPY:
                return 2 * self.weights_bytes
            case Task.TRAINING:
                return self.weights_bytes + TRAINING_COPIES * self.trainable
        return self.weights_bytes

    def _brought(self, task: Task) -> int:
        """What of offloaded weights is where the model computes, at the worst moment.

        A forward brings in one module at a time. For a backward every layer keeps the weight that
        it has used, and in the end all are there.
        """
        if task in (Task.FORWARD, Task.SECOND_COPY):
            return self.module
        return self.weights_bytes - self.buffers
