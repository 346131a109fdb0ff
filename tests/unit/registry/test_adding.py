"""An entry that is added is text like the rest of the file, which stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat.registry.load import RegistryError, default_registry_path, load_registry, parse_registry
from compat.registry.write import add_entry, entry_text, with_entry
from compat.results.atomic import replace_text

TEXT = default_registry_path().read_text(encoding="utf-8")
REGISTRY = load_registry(default_registry_path())
NEW = REGISTRY.by_id("gpt2").model_copy(
    update={"id": "org/new", "slug": "new", "aliases": (), "known_failures": ()}
)


@pytest.mark.parametrize("spec", REGISTRY.models, ids=lambda spec: spec.slug)
def test_every_entry_of_the_registry_is_read_back_as_it_was(spec):
    (again,) = parse_registry(f"schema: 1\nmodels:\n{entry_text(spec)}").models
    unlined = {"line": 0, "known_failures": ()}
    assert again.model_copy(update=unlined) == spec.model_copy(update=unlined)
    assert len(again.known_failures) == len(spec.known_failures)


def test_nothing_is_changed_but_that_lines_are_put_in():
    changed = with_entry(TEXT, NEW)
    before, after = TEXT.splitlines(), changed.splitlines()
    added = len(after) - len(before)
    at = next(i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
    assert after[:at] + after[at + added :] == before
    assert parse_registry(changed).models[-1].id == "org/new"
    assert len(parse_registry(changed).models) == len(REGISTRY.models) + 1


def test_a_file_that_ends_with_its_models_is_gone_on_with():
    text = f"schema: 1\nmodels:\n{entry_text(REGISTRY.models[0])}".rstrip("\n")
    assert [model.id for model in parse_registry(with_entry(text, NEW)).models][1:] == ["org/new"]


def test_a_name_that_is_taken_leaves_the_file_as_it_is(tmp_path: Path):
    path = tmp_path / "models.yaml"
    path.write_text(TEXT, encoding="utf-8")
    with pytest.raises(RegistryError, match="is taken by"):
        add_entry(path, REGISTRY.by_id("gpt2"), replace_text)
    assert path.read_text(encoding="utf-8") == TEXT
