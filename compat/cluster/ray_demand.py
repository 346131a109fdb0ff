"""What a job takes of a node of a Ray cluster, and whether there is a node that has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compat.cluster.plan import Job, Plan

GPU, CPU = "GPU", "CPU"
OF_RAY = frozenset({GPU, CPU, "memory", "object_store_memory"})
"""Names of resources that mean something else to Ray."""


@dataclass(frozen=True)
class Demand:
    """What one job takes of a node while it runs."""

    machine: str
    """Label of the kind of machine: a custom resource, of which a job takes 1.

    Ray's own count of GPU memory would not do: it is summed over a node, and 40 GB are not on two
    GPUs of 24 GB.
    """
    gpus: int
    cpus: int

    @classmethod
    def of(cls, plan: Plan, job: Job, cpus: int) -> Demand:
        """The demand of a job. Raises PlanFileError where the plan does not know its machine."""
        return cls(machine=job.machine, gpus=plan.gpus_of(job), cpus=cpus)

    @property
    def resources(self) -> Mapping[str, float]:
        """The same by Ray's names."""
        return {self.machine: 1, GPU: self.gpus, CPU: self.cpus}

    def fits(self, node: Mapping[str, float]) -> bool:
        """Whether a node with these resources, all of them free, can run the job."""
        return all(node.get(name, 0) >= amount for name, amount in self.resources.items())


def why_nowhere(demand: Demand, nodes: Iterable[Mapping[str, float]]) -> str | None:
    """Why no node can ever run a job, and what to do; None where one can.

    Ray itself would let it wait for ever, without a word.
    """
    if demand.machine in OF_RAY:
        return f"{demand.machine!r} is a resource of Ray's own: plan with another label"
    everywhere = list(nodes)
    if any(demand.fits(node) for node in everywhere):
        return None
    advertised = [node for node in everywhere if node.get(demand.machine, 0) >= 1]
    if not advertised:
        return (
            f"no node advertises {demand.machine}: start those that are one with "
            f"ray start --resources='{{\"{demand.machine}\": 1}}'"
        )
    lacking = [_lacking(demand, node) for node in advertised]
    return f"it needs {_amounts(demand.resources)}, and {demand.machine} has {' or '.join(lacking)}"


def infeasible(
    demands: Mapping[int, Demand], nodes: Sequence[Mapping[str, float]]
) -> dict[int, str]:
    """The jobs that no node can ever run, by index, and why."""
    reasons = {index: why_nowhere(demand, nodes) for index, demand in demands.items()}
    return {index: reason for index, reason in reasons.items() if reason is not None}


def _lacking(demand: Demand, node: Mapping[str, float]) -> str:
    return _amounts({name: node.get(name, 0) for name in demand.resources})


def _amounts(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{resources.get(name, 0):g} {name}s" for name in (GPU, CPU))
