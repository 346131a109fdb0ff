"""What a pytest node id says of its target, from its spelling alone.

The controller of a distributed run knows node ids and nothing else.
"""

from __future__ import annotations

import re
from functools import lru_cache

from compat.targets.mode import Mode
from compat.targets.target import Device, Weights


def _either(names: type[Weights] | type[Device] | type[Mode]) -> str:
    # The longest first: "disk-offload" before anything it begins with.
    return "|".join(re.escape(str(name)) for name in sorted(names, key=len, reverse=True))


_TARGET = re.compile(
    rf"(?P<slug>.+?)-(?:{_either(Weights)})-(?:{_either(Device)})-(?:{_either(Mode)})(?=-|$)"
)


def bracketed(node_id: str) -> str:
    """What stands between the brackets of a node id; empty where it has none."""
    _, bracket, rest = node_id.partition("[")
    return rest[:-1] if bracket and rest.endswith("]") else ""


def loaded_part(text: str) -> str | None:
    """`slug-weights-device-mode` at the beginning of a bracketed part; None where there is none.

    Targets that differ in the wrapper alone have it in common, as they have the load.
    """
    found = _TARGET.match(text)
    return found.group() if found else None


@lru_cache(maxsize=100_000)
def load_of(node_id: str) -> str | None:
    """The loaded part of a node id; None for a test that is none of the suite's."""
    return loaded_part(bracketed(node_id))


def slug_of(loaded: str) -> str:
    """The short name of the model in a loaded part."""
    found = _TARGET.match(loaded)
    return found["slug"] if found else loaded


def device_of(loaded: str) -> Device:
    """The device in a loaded part."""
    return Device.GPU if f"-{Device.GPU}-" in loaded else Device.CPU


def spans_gpus(loaded: str) -> bool:
    """Whether a loaded part is of a mode that spreads a model over all GPUs."""
    return device_of(loaded) is Device.GPU and loaded.endswith(f"-{Mode.AUTO}")
