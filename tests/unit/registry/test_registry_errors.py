"""Every way in which a registry can be wrong is said with its line and with what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compat.registry import RegistryError, load_registry, parse_registry
from compat.registry.load import SHOWN_PROBLEMS

Complaints = Callable[[str], list[str]]
OAK = "models[0] (acme/oak-1b)"
PINE = "models[1] (acme/pine-2b)"

ROW = """\
    known_failures:
      - check: recites
        blame: model
        reason: it forgets
        raises: {type: AssertionError, match: forgot}
"""


def with_row(text: str, row: str = ROW) -> str:
    """`text` with a known failure of the last model; its first key stands on line 27."""
    return text + row


def test_an_unknown_key_is_named_with_its_neighbour_and_the_allowed_keys(
    two_models: str, complaints: Complaints
) -> None:
    [said] = complaints(two_models.replace("    tokenizer:", "    familly: x\n    tokenizer:", 1))
    assert said.startswith(
        f"models.yaml:13: {OAK}: unknown key 'familly'; did you mean 'family'? allowed: id, slug,"
    )
    assert "line" not in said.partition("allowed: ")[2].split(", ")


def test_an_unknown_key_of_a_nested_mapping_is_told_the_keys_of_that_mapping(
    two_models: str, complaints: Complaints
) -> None:
    assert complaints(two_models.replace("{count: 2,", "{count: 2, cuont: 3,")) == [
        f"models.yaml:9: {OAK} blocks: unknown key 'cuont'; did you mean 'count'? "
        "allowed: count, class, path"
    ]


def test_an_unknown_key_at_the_top_is_named(two_models: str, complaints: Complaints) -> None:
    assert complaints(two_models + "modles: []\n") == [
        "models.yaml:26: unknown key 'modles'; did you mean 'models'? "
        "allowed: schema, models, pairs, known_failures"
    ]


def test_the_field_that_reading_sets_is_no_key_of_the_file(
    two_models: str, complaints: Complaints
) -> None:
    [said] = complaints(two_models + "    line: 3\n")
    assert said.startswith(f"models.yaml:26: {PINE}: unknown key 'line'")


def test_python_names_of_fields_are_no_keys_of_the_file(
    two_models: str, complaints: Complaints
) -> None:
    said = complaints(two_models.replace("class: causal-lm", "model_class: causal-lm", 1))
    assert f"models.yaml:3: {OAK}: missing key 'class'" in said
    assert any(line.startswith(f"models.yaml:6: {OAK}: unknown key 'model_class'") for line in said)


def test_a_missing_key_is_named_at_the_entry_that_lacks_it(
    two_models: str, complaints: Complaints
) -> None:
    assert complaints(two_models.replace("    family: pine\n", "")) == [
        f"models.yaml:15: {PINE}: missing key 'family'"
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("parameters: 1000", "parameters: many", "'parameters' must be a whole number, not 'many'"),
        (
            "parameters: 1000",
            "parameters: '1000'",
            "'parameters' must be a whole number, not '1000'",
        ),
        ("parameters: 1000", "parameters: 1.5", "'parameters' must be a whole number, not 1.5"),
        ("parameters: 1000", "parameters: 0", "'parameters' must be greater than 0, not 0"),
        ("family: oak", "family: 7", "'family' must be text, not 7"),
        ("aliases: [oak]", "aliases: oak", "'aliases' must be a list, not 'oak'"),
        ("tokenizer: byte-level-bpe", "tokenizer: bpe", "'tokenizer': unknown value 'bpe'; "),
        ("class: causal-lm", "class: causal", "'class': unknown value 'causal'; did you mean "),
        ("id: acme/oak-1b", "id: oak-1b", "'id' must match pattern"),
        ("{model_type: llama, hidden_size: 64}", "[llama]", "'config' must be a mapping, not "),
        ("{confidence: verified}", "verified", "'evidence' must be a mapping, not 'verified'"),
    ],
    ids=lambda value: value.replace("/", "_"),
)
def test_a_wrong_value_is_shown_with_what_it_must_be(
    two_models: str, complaints: Complaints, right: str, wrong: str, said: str
) -> None:
    line = two_models[: two_models.index(right)].count("\n") + 1
    [complaint] = complaints(two_models.replace(right, wrong, 1))
    assert complaint.startswith(f"models.yaml:{line}: models[0] (")
    assert said in complaint


def test_a_wrong_item_of_a_list_is_told_by_its_number(
    two_models: str, complaints: Complaints
) -> None:
    assert complaints(two_models.replace("[oak]", "[oak, 7]")) == [
        f"models.yaml:4: {OAK} aliases: item 1 must be text, not 7"
    ]


def test_a_config_without_model_type_is_refused(two_models: str, complaints: Complaints) -> None:
    [said] = complaints(two_models.replace("model_type: llama, hidden_size: 64", "hidden_size: 64"))
    assert said.startswith(f"models.yaml:8: {OAK}: 'config': missing key 'model_type'")


def test_an_unknown_mode_is_told_the_modes(two_models: str, complaints: Complaints) -> None:
    assert complaints(two_models + "    modes: [fp32, int9]\n") == [
        f"models.yaml:26: {PINE} modes: item 1: unknown value 'int9'; did you mean 'int8'? "
        "allowed: fp32, bf16, fp16, int8, nf4, fp4, disk-offload, cpu-offload, auto, native"
    ]


def test_another_version_of_the_schema_is_refused(two_models: str, complaints: Complaints) -> None:
    assert complaints(two_models.replace("schema: 1", "schema: 2")) == [
        "models.yaml:1: 'schema': unknown value 2; allowed: 1"
    ]


def test_a_duplicate_id_names_the_entry_that_has_it(
    two_models: str, complaints: Complaints
) -> None:
    assert complaints(two_models.replace("acme/pine-2b", "acme/oak-1b")) == [
        f"models.yaml:15: models[1] (acme/oak-1b): id 'acme/oak-1b' is taken by {OAK} on line 3"
    ]


def test_a_duplicate_alias_names_the_entry_that_has_it(
    two_models: str, complaints: Complaints
) -> None:
    assert complaints(two_models + "    aliases: [oak]\n") == [
        f"models.yaml:26: {PINE}: aliases 'oak' is taken by {OAK} on line 3"
    ]


def test_an_alias_may_not_be_the_id_of_another_model(
    two_models: str, complaints: Complaints
) -> None:
    [said] = complaints(two_models + "    aliases: [acme/oak-1b]\n")
    assert said == f"models.yaml:26: {PINE}: aliases 'acme/oak-1b' is taken by {OAK} on line 3"


def test_two_organisations_with_a_model_of_one_name_need_a_slug(
    two_models: str, complaints: Complaints
) -> None:
    clashing = two_models.replace("acme/pine-2b", "other/Oak-1B")
    assert complaints(clashing) == [
        f"models.yaml:15: models[1] (other/Oak-1B): slug 'oak-1b' is taken by {OAK} on line 3"
    ]
    registry = parse_registry(clashing + "    slug: other-oak-1b\n")
    assert registry.by_id("other-oak-1b").id == "other/Oak-1B"


def test_a_slug_with_upper_case_is_refused(two_models: str, complaints: Complaints) -> None:
    [said] = complaints(two_models + "    slug: Pine\n")
    assert said.startswith(f"models.yaml:26: {PINE}: 'slug' must match pattern")


def test_a_key_that_stands_twice_is_refused(two_models: str, complaints: Complaints) -> None:
    assert complaints(two_models + "    family: fir\n") == [
        "models.yaml:26: duplicate key 'family': it is on line 16 too"
    ]


def test_bad_syntax_is_shown_with_line_and_column(two_models: str, complaints: Complaints) -> None:
    [said] = complaints(two_models.replace("[oak]", "[oak"))
    assert said.startswith("models.yaml:5:11: not valid YAML: did not find expected ',' or ']'")


def test_a_bare_glob_is_told_to_stand_in_quotes(two_models: str, complaints: Complaints) -> None:
    [said] = complaints(with_row(two_models, ROW + "        mode: *\n"))
    assert said.startswith("models.yaml:31:16: not valid YAML:")
    assert said.endswith("; put quotes around a text that begins with *")


def test_a_character_that_yaml_forbids_is_refused(complaints: Complaints) -> None:
    [said] = complaints("schema: \x00")
    assert said.startswith("models.yaml:1: not valid YAML:")


@pytest.mark.parametrize("text", ["", "# nothing\n"], ids=["empty", "comment"])
def test_an_empty_file_is_refused(complaints: Complaints, text: str) -> None:
    assert complaints(text) == ["models.yaml:1: the file is empty"]


def test_a_file_that_is_no_mapping_is_told_the_keys(complaints: Complaints) -> None:
    assert complaints("- 1\n") == [
        "models.yaml:1: the file must be a mapping with the keys schema, models, pairs, "
        "known_failures"
    ]


def test_models_that_are_no_mappings_are_refused(complaints: Complaints) -> None:
    assert complaints("schema: 1\nmodels: [oak]\n") == [
        "models.yaml:2: models: item 0 must be a mapping, not 'oak'"
    ]


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.getcwd []", "!!python/name:os.getcwd ''", "!own x", "!!set {}"],
)
def test_a_tag_constructs_nothing(two_models: str, complaints: Complaints, tag: str) -> None:
    said = complaints(two_models.replace("hidden_size: 64}", f"hidden_size: {tag}}}", 1))
    assert said[0].startswith("models.yaml:8: tag ")
    assert said[0].endswith(" is not allowed")


def test_a_number_that_its_tag_contradicts_is_refused(
    two_models: str, complaints: Complaints
) -> None:
    [said] = complaints(two_models.replace("hidden_size: 64", "hidden_size: !!int many"))
    assert said.startswith("models.yaml:8: 'many' is not what its tag says")


def test_an_alias_is_refused_so_that_no_file_grows(two_models: str, complaints: Complaints) -> None:
    text = two_models.replace("config: {model", "config: &c {model", 1).replace(
        "config: {model_type: llama, hidden_size: 128}", "config: *c"
    )
    assert "models.yaml:8: an alias (*name) is not allowed: write the value out" in complaints(text)


def test_a_merge_key_is_refused(two_models: str, complaints: Complaints) -> None:
    said = complaints(two_models.replace("{count: 4,", "{<<: {count: 4},"))
    assert "models.yaml:20: tag 'tag:yaml.org,2002:merge' is not allowed" in said


def test_a_key_that_is_no_text_is_refused(two_models: str, complaints: Complaints) -> None:
    assert complaints(
        two_models.replace("{model_type: llama, hidden_size: 64", "{model_type: a, 1: 2")
    ) == ["models.yaml:8: a key must be text, not 1"]


def test_a_number_that_yaml_takes_for_text_is_pointed_out(
    two_models: str, complaints: Complaints
) -> None:
    assert complaints(two_models.replace("hidden_size: 64", "rms_norm_eps: 1e-5")) == [
        "models.yaml:8: YAML reads 1e-5 as text; a number is written like 1.0e-05"
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"absent\.yaml: no such registry file"):
        load_registry(tmp_path / "absent.yaml")


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_bytes(b"schema: \xff")
    with pytest.raises(RegistryError, match=r"models\.yaml: the registry can't be read"):
        load_registry(path)


def test_a_file_below_the_working_folder_is_shown_by_its_short_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("schema: [")
    with pytest.raises(RegistryError) as caught:
        load_registry(tmp_path / "mine.yaml")
    assert str(caught.value).startswith("mine.yaml:2:1: not valid YAML")


def test_a_failure_that_says_not_what_it_raises_is_refused(
    two_models: str, complaints: Complaints
) -> None:
    row = ROW.replace("        raises: {type: AssertionError, match: forgot}\n", "")
    assert complaints(with_row(two_models, row)) == [
        f"models.yaml:27: {PINE} known_failures: item 0: missing key 'raises' (type and match): "
        "obligatory where outcome is failed"
    ]


@pytest.mark.parametrize("outcome", ["crashed", "timeout"])
def test_what_ends_without_an_exception_needs_no_raises(two_models: str, outcome: str) -> None:
    row = ROW.replace("raises: {type: AssertionError, match: forgot}", f"outcome: {outcome}")
    assert parse_registry(with_row(two_models, row)).models[1].known_failures[0].raises is None


def test_an_outcome_that_is_no_failure_is_refused(two_models: str, complaints: Complaints) -> None:
    [said] = complaints(with_row(two_models, ROW + "        outcome: fixed\n"))
    assert said == (
        f"models.yaml:31: {PINE} known_failures[0]: 'outcome': unknown value 'fixed'; "
        "did you mean 'failed'? allowed: failed, crashed, timeout"
    )


def test_an_expression_that_does_not_compile_is_refused(
    two_models: str, complaints: Complaints
) -> None:
    [said] = complaints(with_row(two_models, ROW.replace("forgot", "'(forgot'")))
    assert said.startswith(
        f"models.yaml:30: {PINE} known_failures[0].raises: 'match': not a regular expression: "
    )


@pytest.mark.parametrize(
    ("when", "key", "place"),
    [
        ("{packages: {torch: newest}}", "torch", "when.packages"),
        ("{cuda_capability: ampere}", "cuda_capability", "when"),
    ],
    ids=["package", "capability"],
)
def test_a_version_that_is_none_is_refused(
    two_models: str, complaints: Complaints, when: str, key: str, place: str
) -> None:
    [said] = complaints(with_row(two_models, f"{ROW}        when: {when}\n"))
    assert said.startswith(
        f"models.yaml:31: {PINE} known_failures[0].{place}: '{key}': not a version specifier"
    )


@pytest.mark.parametrize("key", ["model", "family"])
def test_a_row_of_one_model_may_not_choose_models(
    two_models: str, complaints: Complaints, key: str
) -> None:
    assert complaints(with_row(two_models, f"{ROW}        {key}: '*'\n")) == [
        f"models.yaml:31: {PINE} known_failures[0]: {key!r} belongs to the rows for several "
        "models, in the list 'known_failures' at the top level; this row is about its own model"
    ]


def test_all_problems_are_shown_together_in_the_order_of_their_lines(
    two_models: str, complaints: Complaints
) -> None:
    text = two_models.replace("schema: 1", "schema: 2").replace("family: pine", "familly: pine")
    said = complaints(text + "    family: 7\n    family: 8\n")
    assert [line.split(":")[1] for line in said] == ["1", "16", "26", "27"]


def test_more_problems_than_anyone_reads_are_counted(
    two_models: str, complaints: Complaints
) -> None:
    extra = "".join(f"unknown_{number}: 1\n" for number in range(SHOWN_PROBLEMS + 5))
    said = complaints(two_models + extra)
    assert len(said) == SHOWN_PROBLEMS + 1
    assert said[-1] == "models.yaml: and 5 more"
