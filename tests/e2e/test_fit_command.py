"""`compat fit`: tables at the terminal, in files, and one clear line for what is wrong."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compat.cli import main
from compat.fit.table import FitFileError, FitTable, read_table
from compat.targets import Device, Mode

Command = Callable[..., str]
SHORT = ("--length", "16")


@pytest.fixture
def compat(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory
) -> Command:
    """Run a command and give what it printed; its figures are kept for the next test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["compat", "fit", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert ended.value.code == (2 if printed.err else 0)
        return printed.err or printed.out

    return run


def exported(compat: Command, folder: Path, *arguments: str) -> FitTable:
    compat(*arguments, *SHORT, "--export", str(folder / "fit.json"))
    return read_table(folder / "fit.json")


def test_models_by_modes_with_what_fits_marked(compat):
    printed = compat("--gpu", "1GB", "--ram", "8GB", "--models", "gpt2*", "--modes", "bf16", *SHORT)
    lines = {line.split()[0]: line for line in printed.splitlines() if line.startswith("gpt2")}
    assert "1.00 GB of GPU memory, 8.00 GB of main memory" in printed
    assert set(lines) == {"gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"}
    first = printed[: printed.index("Largest batch")]
    assert [line.split()[-1] for line in first.splitlines() if line.startswith("gpt2")] == [
        "✓", "✗", "✗", "✗",
    ]  # fmt: skip


def test_without_a_gpu_every_mode_of_the_cpu_is_held_against_main_memory(compat, tmp_path):
    table = exported(compat, tmp_path, "--ram", "2GB", "--models", "gpt2,opt-1.3b")
    fits = {(row.slug, row.mode): row.fits for row in table.rows}
    assert table.device is Device.CPU
    assert fits["gpt2", Mode.FP32]
    assert not fits["opt-1.3b", Mode.FP32]
    assert fits["opt-1.3b", Mode.DISK_OFFLOAD]


def test_a_pair_has_an_adapter_a_batch_and_an_accumulation(compat, tmp_path):
    arguments = ("--gpu", "8GB", "--modes", "bf16", "--pair", "gpt2:distilgpt2")
    table = exported(compat, tmp_path, *arguments, "--effective-batch", "12")
    assert [row.adapter for row in table.pairs] == ["linear", "resampler"]
    assert {row.batch * row.accumulation for row in table.pairs} == {12}
    assert table.rows == ()


@pytest.mark.parametrize("name", ["fit.csv", "fit.md"])
def test_the_table_is_written_in_the_format_of_the_file_s_name(compat, tmp_path, name):
    compat("--gpu", "8GB", "--models", "gpt2", "--modes", "bf16,nf4", *SHORT, "--export",
           str(tmp_path / name))  # fmt: skip
    text = (tmp_path / name).read_text()
    if name == "fit.csv":
        assert [row["mode"] for row in csv.DictReader(text.splitlines())] == ["bf16", "nf4"]
    else:
        assert text.count("| openai-community/gpt2 |") == 2


def test_a_model_with_code_of_its_own_is_named_and_not_guessed(compat):
    printed = compat("--gpu", "24GB", "--models", "chatglm3-6b", *SHORT)
    assert "not predicted: chatglm3-6b: transformers has no model of type chatglm" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--gpu", "much"), "--gpu: 'much' is no amount of memory, such as 24GB"),
        (("--ram", "2x8GB"), "--ram: '2x8GB' is 2 amounts of memory"),
        (("--models", "lama*"), "--models: no model of the registry is called 'lama*'"),
        (("--modes", "nf5"), "nf5"),
        (("--ram", "8GB", "--gpu", "8GB", "--modes", "meta"), "none of them runs on a GPU"),
        (("--attention", "flash"), "--attention: 'flash' is none of eager, sdpa"),
        (("--pair", "gpt2"), "--pair: 'gpt2' is no pair; write SOURCE:TARGET"),
        (("--pair", "gpt2:gpt3"), "no model 'gpt3' in the registry"),
        (("--models", "gpt2", "--modes", "bf16", "--export", "fit.pdf", *SHORT),
         "--export: '.pdf' is none of .csv, .json, .md"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(compat, arguments, said):
    printed = compat(*arguments)
    assert said in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 1, "rows": "<script>"}', "\udcff"])
def test_a_file_that_is_no_table_is_said_to_be_none(tmp_path, text):
    file = tmp_path / "fit.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FitFileError, match=r"fit\.json is no table of what fits"):
        read_table(file)
