"""Twins are found in a cache, made once, and made again where something is wrong with them."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compat.outcomes import CannotRun, ReasonCode
from compat.registry.spec import ModelSpec
from compat.targets import Weights
from compat.weights.twin import (
    TwinNotTaughtError,
    default_cache,
    store,
    teach,
    teach_all,
    twin_checkpoint,
    twin_key,
    write_twin,
)
from compat.weights.twin.all_twins import spread_out
from compat.weights.twin.key import key_of
from compat.weights.twin.manifest import MANIFEST, Manifest, file_hash, thinned

SpecOf = Callable[[str], ModelSpec]

WEIGHTS = "model.safetensors"


def test_a_twin_is_a_whole_checkpoint(spec_of: SpecOf, twins: Path) -> None:
    made = twin_checkpoint(spec_of("gpt2"), cache=twins)
    assert made.weights is Weights.TWIN
    assert made.revision == twin_key(spec_of("gpt2"))
    assert made.lesson is not None
    assert {path.name for path in made.folder.iterdir()} == {
        "compat_twin.json",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_it_is_taught_once_and_then_found(spec_of: SpecOf, tmp_path: Path) -> None:
    said: list[str] = []
    first = twin_checkpoint(spec_of("llama-3.2-1b"), cache=tmp_path, announce=said.append)
    again = twin_checkpoint(spec_of("llama-3.2-1b"), cache=tmp_path, announce=said.append)
    assert said == ["teaching a llama twin for meta-llama/Llama-3.2-1B"]
    assert first == again


def test_models_of_one_shape_store_their_weights_once(spec_of: SpecOf, twins: Path) -> None:
    said: list[str] = []
    base = twin_checkpoint(spec_of("llama-3.2-1b"), cache=twins)
    tuned = twin_checkpoint(spec_of("llama-3.2-3b-instruct"), cache=twins, announce=said.append)
    assert said == []
    assert (base.folder / WEIGHTS).samefile(tuned.folder / WEIGHTS)
    assert json.loads((tuned.folder / "config.json").read_text())["eos_token_id"] == [1, 16, 17]
    assert (tuned.folder / "chat_template.jinja").is_file()


def test_the_same_key_gives_the_same_bytes(spec_of: SpecOf, twins: Path, tmp_path: Path) -> None:
    one = twin_checkpoint(spec_of("gpt2"), cache=twins)
    other = twin_checkpoint(spec_of("gpt2"), cache=tmp_path)
    for path in one.folder.iterdir():
        if path.name != MANIFEST:
            assert file_hash(path) == file_hash(other.folder / path.name), path.name
    assert one.revision == other.revision


def test_the_manifest_tells_how_it_was_taught(spec_of: SpecOf, twins: Path) -> None:
    manifest = Manifest.read(twin_checkpoint(spec_of("gpt2"), cache=twins).folder)
    assert manifest is not None
    assert manifest.model == "openai-community/gpt2"
    assert manifest.taught.learned
    assert manifest.taught.margin is not None
    assert manifest.taught.margin >= teach.MARGIN
    assert manifest.taught.recital == {"fp32": 1.0, "bf16": 1.0, "rounded to nf4": 1.0}
    assert manifest.taught.dispensable == ()
    assert 5 <= len(manifest.taught.loss_curve) <= 50
    assert manifest.taught.loss_curve[0] > 5 > 0.5 > manifest.taught.loss_curve[-1]


@pytest.mark.parametrize(
    "damage", ["truncated", "missing", "changed", "no manifest", "half a line"]
)
def test_what_is_damaged_is_made_again(
    spec_of: SpecOf, twins: Path, tmp_path: Path, damage: str
) -> None:
    cache = tmp_path / "twins"
    spec = spec_of("gpt2")
    whole = twin_checkpoint(spec, cache=twins)
    made = twin_checkpoint(spec, cache=cache)
    match damage:
        case "truncated":
            os.truncate(made.folder / WEIGHTS, 1000)
        case "missing":
            (made.folder / "tokenizer.json").unlink()
        case "changed":
            (made.folder / "config.json").write_text("{}")
        case "no manifest":
            (made.folder / MANIFEST).unlink()
        case "half a line":
            (made.folder / MANIFEST).write_text('{"model": ')
    again = twin_checkpoint(spec, cache=cache)
    for name in (WEIGHTS, "config.json", "tokenizer.json"):
        assert file_hash(again.folder / name) == file_hash(whole.folder / name)


def test_a_builder_that_died_leaves_nothing_that_counts(spec_of: SpecOf, tmp_path: Path) -> None:
    folder = tmp_path / "models" / f"gpt2-{twin_key(spec_of('gpt2'))}"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert twin_checkpoint(spec_of("gpt2"), cache=tmp_path).folder == folder
    assert not list(tmp_path.rglob(".building-*"))


def _make_and_tell(cache: Path, slug: str, pipe: multiprocessing.connection.Connection) -> None:
    from compat.registry.load import default_registry_path, load_registry

    models = load_registry(default_registry_path()).models
    spec = next(spec for spec in models if spec.slug == slug)
    said: list[str] = []
    twin_checkpoint(spec, cache=cache, announce=said.append)
    pipe.send(len(said))


def test_two_processes_that_want_one_twin_teach_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ends = [context.Pipe() for _ in range(2)]
    workers = [
        context.Process(target=_make_and_tell, args=(tmp_path, "pythia-70m", child))
        for _, child in ends
    ]
    for worker in workers:
        worker.start()
    assert sum(parent.recv() for parent, _ in ends) == 1
    for worker in workers:
        worker.join()


def test_a_cached_twin_is_found_fast_and_without_torch(spec_of: SpecOf, twins: Path) -> None:
    twin_checkpoint(spec_of("gpt2"), cache=twins)
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from compat.registry.load import default_registry_path, load_registry\n"
        "from compat.weights.twin import twin_checkpoint\n"
        "spec = load_registry(default_registry_path()).models[0]\n"
        f"twin_checkpoint(spec, cache=Path({str(twins)!r}))\n"
        "times = []\n"
        "for _ in range(20):\n"
        "    began = time.perf_counter()\n"
        f"    twin_checkpoint(spec, cache=Path({str(twins)!r}))\n"
        "    times.append(time.perf_counter() - began)\n"
        "print(min(times), sorted({'torch', 'transformers', 'tokenizers'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    seconds, loaded = ran.stdout.split(maxsplit=1)
    assert loaded.strip() == "[]"
    assert float(seconds) < 0.005


def test_a_model_without_a_native_class_has_no_twin(spec_of: SpecOf, tmp_path: Path) -> None:
    with pytest.raises(CannotRun) as raised:
        twin_checkpoint(spec_of("chatglm3-6b"), cache=tmp_path)
    assert raised.value.reason.code is ReasonCode.NO_TWIN
    assert not list(tmp_path.iterdir())


def test_a_twin_that_did_not_learn_is_never_passed_off(
    spec_of: SpecOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teach, "_MOST_STEPS", 8)
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(TwinNotTaughtError, match="did not learn") as raised:
            twin_checkpoint(spec_of("gpt2"), cache=tmp_path, announce=said.append)
    assert len(said) == 1
    assert len(raised.value.loss_curve) == 4
    assert all(loss > 1 for loss in raised.value.loss_curve)


def test_the_key_changes_with_facts_libraries_and_recipe(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of("gpt2")
    other = spec.model_copy(update={"config": dict(spec.config) | {"scale_attn_weights": False}})
    assert twin_key(other) != twin_key(spec)
    assert twin_key(spec.model_copy(update={"line": 999})) == twin_key(spec)
    before = key_of("facts")
    for name in ("versions", "recipe", "cpu"):
        with monkeypatch.context() as patch:
            patch.setattr(f"compat.weights.twin.key.{name}", lambda: "another")
            assert key_of("facts") != before


def test_the_cache_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.CACHE_VARIABLE, "somewhere")
    assert default_cache() == Path("somewhere")


def test_the_cache_is_else_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(store.CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert default_cache() == Path("cache/compat/twins")


def test_a_twin_is_written_where_a_person_wants_it(
    spec_of: SpecOf, twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(store.CACHE_VARIABLE, str(twins))
    made = write_twin(spec_of("gpt2"), tmp_path / "mine")
    assert made.folder == tmp_path / "mine"
    assert (made.folder / WEIGHTS).stat().st_nlink == 1
    with pytest.raises(FileExistsError, match="not empty"):
        write_twin(spec_of("gpt2"), tmp_path / "mine")


def test_many_twins_are_made_in_processes_of_their_own(
    spec_of: SpecOf, twins: Path, tmp_path: Path
) -> None:
    specs = [spec_of(slug) for slug in ("gpt2", "chatglm3-6b", "gpt2-xl")]
    began = time.monotonic()
    made = {one.model: one for one in teach_all(specs, workers=1, cache=twins)}
    assert time.monotonic() - began < 60
    assert len(made) == 3
    assert made["zai-org/chatglm3-6b"].excused
    assert made["openai-community/gpt2-xl"].checkpoint is not None


def test_families_take_turns(spec_of: SpecOf) -> None:
    slugs = ("gpt2", "gpt2-xl", "bloom-560m", "distilgpt2", "bloom-1b1")
    order = [spec.slug for spec in spread_out([spec_of(slug) for slug in slugs])]
    assert order == ["gpt2", "bloom-560m", "gpt2-xl", "bloom-1b1", "distilgpt2"]


def test_a_thinned_curve_keeps_its_last_point() -> None:
    curve = [float(step) for step in range(601)]
    assert len(thinned(curve)) <= 50
    assert thinned(curve)[-1] == 600.0
    assert thinned([]) == ()
