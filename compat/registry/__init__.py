"""`models.yaml` as frozen values: models, their facts, and the failures known of them."""

from compat.registry.load import (
    RegistryError,
    default_registry_path,
    load_registry,
    parse_registry,
)
from compat.registry.spec import (
    KnownFailure,
    ModelClass,
    ModelSpec,
    Registry,
    TokenizerKind,
    UnknownModelError,
)

__all__ = [
    "KnownFailure",
    "ModelClass",
    "ModelSpec",
    "Registry",
    "RegistryError",
    "TokenizerKind",
    "UnknownModelError",
    "default_registry_path",
    "load_registry",
    "parse_registry",
]
