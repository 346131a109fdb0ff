"""What a twin's bytes depend on, as one hash. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from compat.registry.spec import ModelSpec

_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors")
_KERNEL_FLAGS = ("avx", "fma", "amx", "sse4", "asimd", "sve", "bf16", "i8mm")
"""Prefixes of the processor flags by which numeric libraries choose their kernels."""
_LENGTH = 20


def twin_key(spec: ModelSpec) -> str:
    """The key of the twin of `spec`: same key, same bytes."""
    facts = spec.model_dump(
        mode="json",
        include={
            "id", "family", "model_class", "config", "config_fix", "tokenizer", "chat_template",
        },
    )  # fmt: skip
    return key_of(facts)


def key_of(facts: Any) -> str:
    """A hash over `facts`, this recipe, the libraries and the processor."""
    whole = [facts, recipe(), versions(), cpu()]
    text = json.dumps(whole, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


@cache
def recipe() -> str:
    """A hash of the source that makes twins: a changed recipe makes other twins."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:_LENGTH]


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    return tuple((name, metadata.version(name)) for name in _PACKAGES)


def versions() -> dict[str, str]:
    """Versions of the libraries that a twin's bytes depend on."""
    return dict(_versions())


@cache
def cpu() -> str:
    """Architecture, vendor and the flags by which kernels are chosen."""
    fields: dict[str, str] = {}
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0]
    except OSError:
        text = ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    known = fields.get("flags", fields.get("Features", "")).split()
    flags = sorted(flag for flag in known if flag.startswith(_KERNEL_FLAGS))
    vendor = fields.get("vendor_id", fields.get("CPU implementer", platform.processor()))
    return " ".join((platform.machine(), vendor, *flags))
