"""A registry entry for a repository of the hub that is in no registry."""

from __future__ import annotations

from compat.registry.spec import ModelSpec
from compat.weights.headers import stored_weights
from compat.weights.hub.download import Listing
from compat.weights.hub.hub import Hub
from compat.weights.hub.snapshot import Snapshot, Wanted
from compat.weights.local import describe, slug_of


def hub_spec(hub: Hub, wanted: Wanted) -> ModelSpec:
    """Describe a repository by its config and the headers of its weights.

    A complete snapshot in the cache answers without a request; else the small files are fetched,
    and of the weights the headers. Raises CannotRun as `Hub.snapshot` does, NotACheckpointError
    for what no model's config is.
    """
    found = hub.complete(wanted)
    listing = None
    if found is None:
        found, listing = hub.small_files(wanted)
    return describe_snapshot(hub, wanted, found, listing)


def describe_snapshot(
    hub: Hub, wanted: Wanted, snapshot: Snapshot, listing: Listing | None
) -> ModelSpec:
    """Describe a snapshot; with a `listing`, its weights are not here. Raises as `hub_spec`."""
    if listing is None:
        stored = stored_weights(snapshot.folder)
    else:
        stored = hub.remote_weights(wanted, listing)
    spec = describe(
        snapshot.folder,
        stored,
        model=wanted.id,
        slug=slug_of(wanted.id.rpartition("/")[2]),
        source=f"{wanted.id}@{snapshot.commit}",
    )
    facts = {
        "revision": wanted.revision,
        "license": None if listing is None else listing.license,
        "gated": None if listing is None else listing.gated,
    }
    return spec.model_copy(update={"checkpoint": spec.checkpoint.model_copy(update=facts)})
