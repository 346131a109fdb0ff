"""`compat add`: an entry of the registry, written from what the hub has."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from compat.outcomes import CannotRun
from compat.registry.load import default_registry_path, load_registry
from compat.registry.spec import BlockFacts, ModelSpec
from compat.registry.write import add_entry, entry_text
from compat.results.atomic import replace_text
from compat.results.visible import visible
from compat.weights.hub import Access, Hub, Snapshot, Wanted
from compat.weights.hub.describe import describe_snapshot
from compat.weights.hub.download import Listing
from compat.weights.local import NotACheckpointError

DONE, WRONG = 0, 1
NOT_STRUCTURE = frozenset(
    {
        "_name_or_path",
        "architectures",
        "auto_map",
        "dtype",
        "quantization_config",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
"""Keys of a config.json that say nothing of what is built."""


def add_model(name: str, registry_file: Path | None) -> int:
    """Write the entry of `org/name[@revision]`. Raises RegistryError."""
    console = Console(highlight=False, stderr=True)
    path = registry_file or default_registry_path()
    load_registry(path)  # what is wrong before is not this command's doing
    model, _, revision = name.partition("@")
    wanted = Wanted(model, revision or None)
    hub = Hub(Access(download=math.inf), announce=lambda text: console.print(escape(visible(text))))
    try:
        spec = described(hub, wanted)
    except (CannotRun, NotACheckpointError) as error:
        console.print(f"compat add: {escape(visible(str(error)))}")
        return WRONG
    add_entry(path, spec, replace_text)
    console.print(f"added to {path.name}:\n\n{escape(visible(entry_text(spec)))}")
    console.print(f"`pytest -m structure -k {spec.slug}` builds it and compares every fact")
    return DONE


def described(hub: Hub, wanted: Wanted) -> ModelSpec:
    """All that an entry says: from config, headers, and the class that transformers builds."""
    snapshot, listing = hub.small_files(wanted)
    spec = describe_snapshot(hub, wanted, snapshot, listing)
    config = {key: value for key, value in spec.config.items() if key not in NOT_STRUCTURE}
    facts: dict[str, Any] = {
        "config": config,
        "chat_template": _has_chat_template(snapshot, listing),
        "checkpoint": spec.checkpoint.model_copy(update={"gb": float(f"{spec.checkpoint.gb:.4g}")}),
        "slug": spec.id.rpartition("/")[2].lower(),
    }
    if spec.native:
        facts |= built_facts(spec.model_copy(update={"config": config}))
    return spec.model_copy(update=facts)


def built_facts(spec: ModelSpec) -> dict[str, Any]:
    """Classes, paths and parameters, of the model built at full size without weights."""
    from compat.anatomy.meta_build import build_on_meta

    built = build_on_meta(spec.model_type, spec.config_arguments(), spec.model_class.value)
    stacks = {"blocks": built.decoder, "encoder": built.encoder, "vision": built.vision}
    found = {
        name: BlockFacts(count=len(stack.blocks), block_class=stack.block_class, path=stack.path)
        for name, stack in stacks.items()
        if stack is not None
    }
    return {**found, "architecture": built.architecture, "parameters": built.parameters}


def _has_chat_template(snapshot: Snapshot, listing: Listing) -> bool:
    if any(name.endswith(".jinja") for name in listing.sizes):
        return True
    written = snapshot.folder / "tokenizer_config.json"
    return written.is_file() and '"chat_template"' in written.read_text(encoding="utf-8")
