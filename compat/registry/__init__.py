"""`models.yaml` as frozen values: models, their facts, and the failures known of them."""

from compat.registry.conditions import Conditions, installed_packages
from compat.registry.failures import (
    FailureIndex,
    expected_failure,
    explains,
    refuse_stale_rows,
    stale_rows,
)
from compat.registry.load import (
    RegistryError,
    default_registry_path,
    load_registry,
    parse_registry,
)
from compat.registry.pair import Entry, PairSpec, entries_of, pair_named, pairs_of
from compat.registry.spec import (
    KnownFailure,
    ModelClass,
    ModelSpec,
    PairRow,
    Registry,
    TokenizerKind,
    UnknownModelError,
)

__all__ = [
    "Conditions",
    "Entry",
    "FailureIndex",
    "KnownFailure",
    "ModelClass",
    "ModelSpec",
    "PairRow",
    "PairSpec",
    "Registry",
    "RegistryError",
    "TokenizerKind",
    "UnknownModelError",
    "default_registry_path",
    "entries_of",
    "expected_failure",
    "explains",
    "installed_packages",
    "load_registry",
    "pair_named",
    "pairs_of",
    "parse_registry",
    "refuse_stale_rows",
    "stale_rows",
]
