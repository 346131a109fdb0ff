from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from compat.results.environment import environment_record
from compat.results.read import read_records
from compat.results.record import CaseStartRecord
from compat.results.redact import Redactor
from compat.results.writer import RecordWriter, new_run_id, timestamp
from compat.targets.devices import Gpu, Host

TOKEN = "hf_" + "aB3" * 8


def start(case: str = "a/twin/cpu/fp32/bare/answers") -> CaseStartRecord:
    return CaseStartRecord(run="r", execution="r/main/1", case=case, started=timestamp(0))


def test_a_file_comes_to_be_with_its_first_record(tmp_path):
    writer = RecordWriter(tmp_path, "r", "gw1", Redactor())
    assert not writer.written
    assert not (tmp_path / "r").exists()
    writer.write(start())
    assert (tmp_path / "r" / "gw1.jsonl").exists()


def test_a_record_is_on_disk_when_write_returns_and_can_be_read_back(tmp_path):
    writer = RecordWriter(tmp_path, "r", "main", Redactor())
    writer.write(start())
    read = read_records(tmp_path)
    assert read.records == (start(),)
    assert not read.problems


def test_no_token_gets_into_a_file_whatever_field_it_is_in(tmp_path):
    writer = RecordWriter(tmp_path, "r", "main", Redactor(secrets=("my-own-secret",)))
    writer.write(start(f"{TOKEN}/my-own-secret/x"))
    text = writer.path.read_text()
    assert TOKEN not in text
    assert "my-own-secret" not in text
    assert json.loads(text)["case"] == "***/***/x"


def test_run_ids_sort_by_time_and_differ():
    early, late = (new_run_id(datetime(2026, 1, day, tzinfo=UTC)) for day in (1, 2))
    assert early < late
    assert new_run_id() != new_run_id()
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", early)


def test_paths_of_this_machine_are_shortened():
    redactor = Redactor(folders=(("/home/ann/project", "."), ("/home/ann", "~")))
    assert redactor.text("/home/ann/project/a.py:3") == "a.py:3"
    assert redactor.text("in /home/ann/.cache") == "in ~/.cache"
    assert redactor.text("--rootdir=/home/ann/project") == "--rootdir=."
    assert redactor.text("/home/anna/b") == "/home/anna/b"


def test_the_query_of_an_address_is_hidden_for_it_may_be_signed(tmp_path):
    said = "403 for url: https://cdn.example/file?X-Amz-Signature=abc&n=1\n(see below)"
    assert Redactor().line(said) == "403 for url: https://cdn.example/file?***\n(see below)"
    line = json.dumps({"said": said, "quoted": 'get "https://cdn.example/file?Signature=abc"'})
    kept = json.loads(Redactor().line(line))
    assert kept["said"].endswith("file?***\n(see below)")
    assert kept["quoted"] == 'get "https://cdn.example/file?***"'


def test_the_hosts_name_is_hidden_where_it_is_plainly_one():
    assert Redactor(host="node-17").text("on node-17: refused") == "on HOST: refused"
    assert Redactor(host="cpu").text("on cpu") == "on cpu"


def test_the_users_name_is_hidden_in_paths_and_alone_where_it_is_a_persons():
    redactor = Redactor(user="annabel")
    assert redactor.text("/scratch/annabel/x of annabel") == "/scratch/USER/x of USER"
    assert redactor.text("/tmp/pytest-of-annabel/a_annabel") == "/tmp/pytest-of-USER/a_USER"
    assert redactor.text("annabella") == "annabella"
    assert Redactor(user="root").text("root of it") == "root of it"


def test_a_folder_is_shortened_where_it_is_one_and_not_a_part_of_another():
    redactor = Redactor(folders=(("/w", "."),))
    assert redactor.line("file:///w/a.py, /x/w/b, /w") == "file://a.py, /x/w/b, ."


def test_ids_are_kept_whatever_user_and_host_are_called(tmp_path):
    writer = RecordWriter(tmp_path, "r", "main", Redactor(user="gemma", host="gemma-2"))
    writer.write(start("google/gemma-2/twin/cpu/fp32/bare/answers"))
    assert json.loads(writer.path.read_text())["case"].startswith("google/gemma-2/")


def test_the_token_that_somebody_has_logged_in_with_is_found(tmp_path):
    (tmp_path / "token").write_text("logged-in-with-this\n")
    redactor = Redactor.here(Path("/work"), {"HF_HOME": str(tmp_path)})
    assert redactor.text("Bearer logged-in-with-this") == "Bearer ***"


def test_tokens_of_the_environment_are_found(monkeypatch):
    redactor = Redactor.here(Path("/work"), {"HF_TOKEN": "not-of-the-usual-form"})
    assert redactor.text("Bearer not-of-the-usual-form") == "Bearer ***"


def test_an_environment_is_the_same_for_the_same_facts_and_carries_no_name():
    host = Host(
        gpus=(Gpu("H100", 80_000_000_000, (9, 0)),),
        cpu="EPYC",
        memory=64_000_000_000,
        cores=8,
        packages={"torch": "2.13.0"},
    )
    one = environment_record(host, run="a", worker="gw0")
    same = environment_record(host, run="b", worker="gw1")
    other = environment_record(Host(), run="a", worker="gw0")
    assert one.id == same.id != other.id
    assert one.gpus[0].memory_gb == 80.0
    assert one.gpus[0].capability == "9.0"
    assert re.fullmatch(r"\w+ [\d.]*", one.os)
