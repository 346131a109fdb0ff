"""`compat doctor MODEL`: what a person sees, what a program reads, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from compat.registry.load import default_registry_path, load_registry
from compat.results.read import read_records
from compat.results.record import JobEndRecord
from compat.weights.twin import twin_checkpoint

PROGRAM = "import sys; from compat.cli import main; sys.argv[0] = 'compat'; main()"
SECONDS = 240
INTERRUPTED = 2
UNTRUSTED = "my\u202emodel[red]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A taught twin as somebody's own checkpoint."""
    twin = twin_checkpoint(load_registry(default_registry_path()).by_id("llama-3.2-1b")).folder
    made = tmp_path / "mine"
    shutil.copytree(twin, made, ignore=shutil.ignore_patterns("compat*"))
    return made


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, "doctor", *arguments]


def environment() -> dict[str, str]:
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1"}
    return os.environ | own


def doctor(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def values(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found = json.loads(done.stdout)
    assert found["exit"] == done.returncode
    return found


def test_a_healthy_model_works_and_its_twin_is_called_one(tmp_path):
    done = doctor(tmp_path, "gpt2", "--modes", "fp32")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the checkpoint is not here (0.548 GB): its twin is examined" in done.stdout
    assert "add --download any" in done.stdout
    assert "fp32: works (twin). All" in done.stdout
    for step in ("access", "packages", "fit", "load", "forward", "generation", "hooks"):
        assert f"\n{step} " in done.stdout
    assert "It works here. works (twin): fp32" in done.stdout
    page = tmp_path / "reports" / "doctor" / "gpt2" / "index.html"
    assert "report: reports/doctor/gpt2/index.html" in done.stdout
    assert "openai-community/gpt2" in page.read_text()


def test_a_damaged_folder_is_told_by_its_checks_and_how_to_see_them_fail(folder):
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if "layers.1.mlp.down_proj" in name)
    tensors[name][3] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    found = values(doctor(folder.parent, "./mine", "--modes", "fp32", "--json"))
    assert found["exit"] == 1
    assert set(found["steps"].values()) == {"fine"}
    assert found["verdicts"]["fp32"]["word"] == "broken"
    assert found["areas"]["forward"]["fp32"]["wrong"] > 0
    assert found["areas"]["anatomy"]["fp32"]["wrong"] == 0
    (finding,) = (one for one in found["findings"] if one["what"] == "logits_finite")
    assert "hold NaN" in finding["text"]

    shown = subprocess.run(
        f"{sys.executable} -m {finding['action']}",
        shell=True,
        cwd=folder.parent,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert shown.returncode == 1
    assert "1 failed" in shown.stdout


def test_a_torn_file_stands_in_the_way_and_says_nothing_of_the_model(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    done = doctor(folder.parent, str(folder), "--modes", "fp32")
    assert done.returncode == 3, done.stdout
    assert "model.safetensors" in done.stdout
    assert "save or download the checkpoint again" in done.stdout


def test_a_folder_without_a_tokenizer_is_examined_as_far_as_it_goes(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()
    done = doctor(folder.parent, str(folder), "--modes", "fp32")
    assert done.returncode == 3, done.stdout
    assert "access in fp32: mine is no complete checkpoint: it holds no tokenizer" in done.stdout
    assert ".save_pretrained(FOLDER)" in done.stdout
    assert "It can't be examined here" in done.stdout


def test_a_folder_that_is_no_checkpoint_at_all_is_said_before_anything_runs(folder):
    (folder / "model.safetensors").write_bytes(b"nothing of the kind")
    done = doctor(folder.parent, str(folder))
    assert done.returncode == 3
    assert "is no safetensors file" in done.stdout
    assert not (folder.parent / "reports").exists()


def test_what_a_checkpoint_calls_itself_is_shown_and_not_obeyed(folder):
    hostile = folder.with_name(UNTRUSTED)
    folder.rename(hostile)
    config = json.loads((hostile / "config.json").read_text())
    config["model_type"] = "\x1b[31m[bold]llama"
    (hostile / "config.json").write_text(json.dumps(config))
    done = doctor(hostile.parent, str(hostile), "--modes", "fp32")
    assert done.returncode in (1, 3), done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "\u202e" not in done.stdout + done.stderr
    assert "[bold]llama" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gtp2",), "no model 'gtp2' in the registry; did you mean 'gpt2'"),
        (("./none",), "'./none' is no checkpoint: it holds no config.json"),
        (("gpt2", "--modes", "fp3"), "--modes: 'fp3' is none of"),
        (("gpt2", "--weights", "mine"), "--weights: 'mine' is none of"),
        (("gpt2", "--weights", "local"), "give the folder in the place of 'gpt2'"),
        (("gpt2", "--device", "tpu"), "--device: 'tpu' is none of cpu, gpu"),
        (("gpt2", "--download", "much"), "'much' is no number of GB"),
        (("gpt2", "--modes", "cpu-offload", "--device", "cpu"), "there is nothing to examine"),
    ],
)
def test_what_a_person_got_wrong_is_one_line(tmp_path, arguments, said):
    done = doctor(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_nobody_knows_may_be_a_slip(tmp_path):
    done = doctor(tmp_path, "openai-community/gtp2")
    assert done.returncode == 3
    assert "did you mean openai-community/gpt2" in " ".join(done.stdout.split())


def test_without_a_gpu_it_says_what_one_is_needed_for(tmp_path):
    done = doctor(tmp_path, "gpt2", "--device", "gpu", "--modes", "nf4,auto")
    if done.returncode != 3:
        pytest.skip("there is a GPU here")
    assert "fit in nf4, auto: no GPU" in done.stdout
    assert "run on a machine with an NVIDIA GPU" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a single process")
def test_ctrl_c_leaves_a_report_of_what_was_found_until_then(folder):
    place = folder.parent
    run = subprocess.Popen(
        command(str(folder), "-o", "report"),
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell starts background jobs with the signal ignored, and CI may be one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    records = place / "report" / "runs"
    end = time.monotonic() + SECONDS
    while not any('"kind":"case"' in file.read_text() for file in records.rglob("*.jsonl")):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 130, said
    assert "The examination was interrupted" in said
    assert "Traceback" not in said
    read = read_records(records)
    assert read.problems == ()
    (ended,) = (record for record in read.records if isinstance(record, JobEndRecord))
    assert ended.exit_status == INTERRUPTED
    assert "mine" in (place / "report" / "index.html").read_text()
