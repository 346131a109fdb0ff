"""The JSON Schema of `models.yaml`, for editors that complete and check while one types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compat.registry.spec import Registry

SCHEMA_FILE = Path(__file__).with_name("models.schema.json")


def json_schema() -> dict[str, Any]:
    """The schema of the file as it is written: its keys, without what reading adds."""
    schema = Registry.model_json_schema(by_alias=True, mode="validation")
    for definition in schema["$defs"].values():
        definition.get("properties", {}).pop("line", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """What `models.schema.json` holds."""
    return json.dumps(json_schema(), indent=2) + "\n"
