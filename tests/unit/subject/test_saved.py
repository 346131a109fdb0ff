"""What saving wrote, and what counts as the same after it."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from compat.outcomes import CannotRun, NotApplicable, ReasonCode
from compat.subject.saved import (
    begins_as_pickle,
    config_settings,
    differing,
    require_space,
    save_and_reload,
    written_files,
)

settings = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3))


def saved_by_torch(**options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": torch.ones(2)}, stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_pickle_of_any_binary_protocol_is_told_by_its_first_bytes(protocol: int) -> None:
    assert begins_as_pickle(pickle.dumps({"weight": 1}, protocol)[:4])


@pytest.mark.parametrize("archive", [True, False])
def test_what_torch_saves_is_told_in_its_new_and_its_old_format(archive: bool) -> None:
    content = saved_by_torch(_use_new_zipfile_serialization=archive)
    assert begins_as_pickle(content[:4])


def test_safetensors_and_text_are_no_pickles() -> None:
    weights = save({"weight": torch.ones(2)})
    assert not begins_as_pickle(weights[:4])
    assert not begins_as_pickle(b'{"a"')
    assert not begins_as_pickle(b"")


def test_files_of_subfolders_are_listed_too(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "weights").write_bytes(saved_by_torch())
    (tmp_path / "config.json").write_text("{}")
    found = [(file.name, file.pickled) for file in written_files(tmp_path)]
    assert found == [("config.json", False), ("inner/weights", True)]


@given(settings, settings)
def test_what_differs_is_symmetric_and_empty_for_equals_alone(
    before: dict[str, int], after: dict[str, int]
) -> None:
    assert differing(before, after) == differing(after, before)
    assert (differing(before, after) == []) == (before == after)


def test_a_config_is_compared_without_what_saving_writes_into_it() -> None:
    config = SimpleNamespace(
        to_dict=lambda: {"transformers_version": "5", "vocab_size": 8, "pad_token_id": None}
    )
    assert config_settings(config) == {"vocab_size": 8}


class FailingStore:
    """Remembers the folder that it was given, and fails to load it."""

    folder: Path

    def save(self, subject: Any, folder: Path) -> None:
        self.folder = folder
        (folder / "config.json").write_text("{}")

    def reopen(self, subject: Any, folder: Path) -> Any:
        raise OSError("no file named model.safetensors")


def test_the_folder_is_removed_even_where_the_load_fails() -> None:
    store = FailingStore()
    with pytest.raises(OSError, match="no file named"):
        save_and_reload(SimpleNamespace(model=None, load_measures={}), store)
    assert not store.folder.exists()


def test_weights_in_a_format_that_can_t_be_stored_are_not_applicable() -> None:
    quantizer = SimpleNamespace(
        is_serializable=lambda: False, quantization_config=SimpleNamespace(quant_method="mxfp4")
    )
    subject = SimpleNamespace(model=SimpleNamespace(hf_quantizer=quantizer))
    with pytest.raises(NotApplicable, match="can't store weights quantized by mxfp4"):
        save_and_reload(subject, FailingStore())


def test_a_disk_that_is_too_full_is_a_skip_and_no_failure(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"saving needs 1000000000\.1 GB") as caught:
        require_space(tmp_path, 10**18)
    assert caught.value.reason.code is ReasonCode.DISK_FULL


def test_weights_that_fit_or_were_not_counted_are_saved(tmp_path: Path) -> None:
    require_space(tmp_path, 1)
    require_space(tmp_path, None)
