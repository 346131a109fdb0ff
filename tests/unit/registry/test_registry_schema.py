"""The JSON Schema that editors complete and check with."""

from __future__ import annotations

from compat.registry import default_registry_path
from compat.registry.schema import SCHEMA_FILE, json_schema, schema_text


def test_the_committed_schema_is_that_of_the_code() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run `compat schema`"


def test_models_yaml_tells_editors_where_the_schema_is() -> None:
    registry = default_registry_path()
    first = registry.read_text(encoding="utf-8").splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (registry.parent / first.removeprefix(prefix)).resolve() == SCHEMA_FILE.resolve()


def test_keys_are_spelled_as_in_yaml() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == {"schema", "models", "pairs", "known_failures"}
    model = schema["$defs"]["ModelSpec"]
    assert "class" in model["properties"]
    assert "model_class" not in model["properties"]


def test_unknown_keys_are_refused_by_editors_too() -> None:
    definitions = [json_schema(), *json_schema()["$defs"].values()]
    mappings = [each for each in definitions if each.get("type") == "object"]
    assert mappings
    assert all(mapping["additionalProperties"] is False for mapping in mappings)


def test_what_reading_adds_is_no_key() -> None:
    assert all("line" not in each.get("properties", {}) for each in json_schema()["$defs"].values())


def test_a_slug_may_be_left_out() -> None:
    assert "slug" not in json_schema()["$defs"]["ModelSpec"]["required"]
