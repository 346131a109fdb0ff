"""The pages that people used to write by hand: every sentence from a record or the registry."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from compat.outcomes import Blame, Outcome
from compat.registry.pair import pairs_of
from compat.registry.spec import Registry
from compat.report import write_report
from compat.report.material import Material
from compat.report.pages import PAGES
from compat.results.record import CaseRecord, ExpectationRecord, FailureRecord, Record, dump_record
from compat.targets import CPU_MODES, Mode, Target, Weights
from tests.unit.report.records import (
    CHECKS,
    HOSTILE,
    FakeCheck,
    case_record,
    model_spec,
    passing,
    registry_of,
    run_records,
    target_of,
)
from tests.unit.report.test_memory import row as fit_row
from tests.unit.report.test_memory import table

ANVIL, ROCKET = model_spec("acme/anvil-1b"), model_spec("acme/rocket-7b", family="saturn")
REGISTRY = Registry.model_validate(
    {
        "schema": 1,
        "models": (ANVIL, ROCKET),
        "pairs": [{"source": "acme/anvil-1b", "target": "acme/rocket-7b"}],
    }
)
(PAIR,) = pairs_of(REGISTRY)
FP32, NF4 = target_of(ANVIL, Mode.FP32), target_of(ANVIL, Mode.NF4)
ARCHITECTURES, CONFIGURATION, PAIRS = PAGES


def page(name: str, *records: Record) -> str:
    return PAGES[name](Material.of(records, REGISTRY, CHECKS))


def section(text: str, title: str) -> str:
    level = title.partition(" ")[0]
    return text.partition(f"{title}\n")[2].partition(f"\n{level} ")[0]


def row(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").replace("\\|", "¦").split("|")]


def measured(check: str, area: str, target: Target = FP32, **measures: object) -> CaseRecord:
    return case_record(target, FakeCheck(check, area, ""), measures=measures)


def everywhere() -> list[Record]:
    return [case for mode in CPU_MODES for case in passing(target_of(ANVIL, mode))]


def test_a_model_that_works_is_said_to_by_its_twin_and_grades_no_quality() -> None:
    text = page(ARCHITECTURES, *run_records([FP32]), *everywhere())
    family = section(text, "### llama")
    assert row(family, "acme/anvil-1b *(twin)*")[1:4] == ["✅", "✅", "not tested"]
    assert row(text, "**llama**")[3] == "✅ 1 works *(twin)*"
    assert row(text, "**saturn**")[3] == "- 1 not tested"


def test_loading_and_inference_fail_apart_and_name_their_modes() -> None:
    bad = next(check for check in CHECKS if check.area == "generation")
    failure = FailureRecord(type="RuntimeError", message="tensor sizes differ")
    broken = case_record(NF4, bad, Outcome.FAILED, failure=failure)
    text = page(
        ARCHITECTURES,
        *passing(FP32),
        *passing(NF4),
        broken.model_copy(update={"execution": "later", "started": "2026-11-21T10:00:00Z"}),
    )
    family = section(text, "### llama")
    assert row(family, "acme/anvil-1b")[1:3] == ["✅", "⚠️ partly in nf4"]
    assert "RuntimeError: tensor sizes differ (1 cases)." in family


def test_a_known_failure_is_an_issue_with_blame_and_report() -> None:
    held = ExpectationRecord(blame=Blame.UPSTREAM, reason="it rounds", issue="https://x.org/1")
    known = case_record(FP32, CHECKS[0], Outcome.KNOWN_FAILURE, expectation=held)
    family = section(page(ARCHITECTURES, known), "### llama")
    assert "anvil-1b: it rounds (1 cases). Blame: upstream. [Report](https://x.org/1)." in family


def test_quality_is_graded_by_a_check_on_a_real_checkpoint() -> None:
    hub = target_of(ANVIL, Mode.BF16, Weights.HUB)
    graded = measured("writes_text", "quality", hub, quality="Fair", perplexity=21.5)
    family = section(page(ARCHITECTURES, *passing(hub), graded), "### llama")
    assert row(family, "acme/anvil-1b")[3] == "Fair (perplexity 21.5)"


def test_the_evidence_of_a_checkpoint_is_never_mixed_with_a_twins() -> None:
    hub = target_of(ANVIL, Mode.FP32, Weights.HUB)
    bad = [
        case_record(hub, check, Outcome.FAILED, failure=FailureRecord(type="E", message="no"))
        for check in CHECKS
    ]
    family = section(page(ARCHITECTURES, *passing(FP32), *bad), "### llama")
    assert row(family, "acme/anvil-1b")[:3] == ["acme/anvil-1b", "❌", "❌"]


def test_samples_stand_under_their_prompt_by_family() -> None:
    written = [
        case_record(
            target_of(spec, Mode.FP32),
            FakeCheck("recites_freely", "generation", ""),
            sample=f"{spec.slug} says so",
            measures={"prompt": "Once upon"},
        )
        for spec in (ANVIL, ROCKET)
    ]
    samples = section(page(ARCHITECTURES, *written), "## Sample outputs")
    assert samples.index("**Prompt**: Once upon") < samples.index("### llama")
    assert "> acme/rocket-7b *(twin)*: rocket-7b says so" in samples


def test_features_follow_from_the_checks_that_are_about_them() -> None:
    pruned = FakeCheck("pruned_at_random_stays_finite", "gates", "")
    skip = FakeCheck("skip_holds_in_generation", "gates", "")
    failure = FailureRecord(type="E", message="no")
    text = page(
        ARCHITECTURES,
        case_record(FP32, pruned, Outcome.FAILED, failure=failure),
        case_record(FP32, skip),
    )
    features = section(text, "## Feature support")
    head = row(features, "Family")
    cells = dict(zip(head, row(features, "llama"), strict=True))
    assert (cells["Pruning"], cells["Skip connections"]) == ("❌", "✅")
    assert cells["Head agency"] == "-"


def test_configuration_is_what_was_loaded() -> None:
    text = page(
        CONFIGURATION,
        measured("loads", "loading", dtype="float32", device_map="cpu", attention="sdpa"),
        measured(
            "loads",
            "loading",
            NF4,
            dtype="float32",
            device_map="cpu",
            attention="eager",
            quantized_share=0.85,
        ),
        measured("special_tokens_present", "tokenizer", eos_token="</s>", pad_token=None),
    )
    modes = section(text, "## Precision, device maps and attention (from the records)")
    assert row(modes, "twin | fp32")[2:] == ["1", "float32", "cpu", "sdpa", "-"]
    assert row(modes, "twin | nf4")[2:] == ["1", "float32", "cpu", "eager", "85% to 85%"]
    assert "\\</s\\>" in row(text, "acme/anvil-1b *(twin)*")[1]


def test_memory_is_measured_beside_what_was_predicted() -> None:
    text = page(
        CONFIGURATION,
        measured(
            "weights_as_predicted",
            "memory",
            weights_bytes=2_000_000,
            predicted_weights_bytes=1_900_000,
        ),
        measured("cache_as_predicted", "memory", kv_cache_bytes=64_000, kv_cache_tokens=16),
    )
    memory = section(text, "## Memory measured (of what was loaded: a twin's figures are a twin's)")
    assert row(memory, "acme/anvil-1b")[1:] == ["fp32", "2 MB", "1.9 MB", "-", "-", "4 kB"]
    size = section(
        text, "## Memory at size (parameters of the registry times bytes; weights alone)"
    )
    assert row(size, "acme/anvil-1b")[1:] == ["1.24B", "2.47 GB", "4.94 GB", "2.47 GB"]


def test_the_checklist_ticks_only_what_passed_everywhere_it_ran() -> None:
    asked = FakeCheck("dtype_as_asked", "precision", "")
    failure = FailureRecord(type="E", message="no")
    bad = case_record(NF4, asked, Outcome.FAILED, failure=failure)
    text = page(CONFIGURATION, case_record(FP32, asked))
    assert "- [x] dtypes are as asked, twin: 1 of 1" in text
    assert "- [ ] attention implementations agree: not tested" in text
    assert "- [ ] dtypes are as asked, twin: 1 of 2; not in acme/anvil-1b" in page(
        CONFIGURATION, case_record(FP32, asked), bad
    )


def test_a_checkpoint_and_a_twin_are_never_added_up() -> None:
    hub = target_of(ROCKET, Mode.FP32, Weights.HUB)
    asked = FakeCheck("dtype_as_asked", "precision", "")
    failure = FailureRecord(type="E", message="no")
    records = [
        case_record(FP32, asked),
        case_record(hub, asked, Outcome.FAILED, failure=failure),
        measured("loads", "loading", dtype="float32"),
        measured("loads", "loading", hub, dtype="float32"),
    ]
    text = page(CONFIGURATION, *records)
    assert "- [ ] dtypes are as asked, hub: 0 of 1; not in acme/rocket-7b" in text
    assert "- [x] dtypes are as asked, twin: 1 of 1" in text
    modes = section(text, "## Precision, device maps and attention (from the records)")
    assert row(modes, "hub | fp32")[2] == row(modes, "twin | fp32")[2] == "1"


def test_a_family_of_which_one_has_a_checkpoint_says_each_apart() -> None:
    registry = registry_of(ANVIL, model_spec("acme/hammer-1b"))
    hammer = target_of(registry.models[1], Mode.FP32, Weights.HUB)
    records = [*everywhere(), *passing(hammer)]
    text = PAGES[ARCHITECTURES](Material.of(records, registry, CHECKS))
    assert row(text, "**llama**")[3] == "✅ 1 works; ✅ 1 works *(twin)*"
    features = section(text, "## Feature support")
    assert row(features, "llama *(twin)* |")[1] == "✅"
    assert row(features, "llama |")[1] == "✅"


def test_what_fits_is_a_table_with_batch_sizes_for_pairs() -> None:
    fit = table(fit_row(Mode.NF4, fits=True), why="its class | comes with its repository")
    text = PAGES[CONFIGURATION](Material.of([], REGISTRY, CHECKS, fit=fit))
    size = section(text, "## Memory at size (predicted by compat fit, from configs alone)")
    assert "Held against GPUs with 24 GB free, 1 x 512 tokens, attention sdpa" in size
    assert row(size, "acme/m0 | nf4")[2:] == [
        "4 GB",
        "none",
        "500 MB",
        "3 GB",
        "5.7 GB",
        "yes",
        "12 / 3",
    ]
    assert row(size, "m0 \\+ m1")[1:] == ["bf16", "linear", "2", "6", "12", "68 GB"]
    assert "Not predicted: acme/own: its class \\| comes with its repository" in size


def pair_case(check: str, outcome: Outcome = Outcome.PASSED, **changes: object) -> CaseRecord:
    target = Target(PAIR.id, PAIR.slug, Weights.TWIN, FP32.device, Mode.FP32)
    return case_record(target, FakeCheck(check, "pairs", ""), outcome, **changes)


def test_a_pair_says_what_differs_and_what_its_adapters_learned() -> None:
    text = page(
        PAIRS,
        pair_case("adapter_learns", measures={"loss_before_nats": 6.5, "loss_after_nats": 2.25}),
        pair_case("pair_memory_as_predicted", measures={"pair_bytes": 3_000_000}),
    )
    pair = section(text, "### Pair 1: acme/anvil-1b → acme/rocket-7b")
    assert "**COMPATIBLE** *(twins)*" in pair
    assert "- Hidden sizes: 2048 → 2048" in pair
    assert "- Adapter, loss in nats a token: 6.5 → 2.25 in fp32" in pair
    assert "- Memory of both, as loaded: 3 MB" in pair
    assert row(text, "Adapter learns")[2:] == ["twin", "1 of 1"]
    assert row(text, "Resampler learns")[2:] == ["-", "not tested"]


def test_a_pair_that_fails_is_not_compatible_and_says_why() -> None:
    failure = FailureRecord(type="ValueError", message="no inputs_embeds")
    text = page(PAIRS, pair_case("adapter_carries_states", Outcome.FAILED, failure=failure))
    assert "0 of 1 pairs are compatible" in text
    assert "adapter\\_carries\\_states in fp32: ValueError: no inputs\\_embeds" in text


@pytest.mark.parametrize("name", PAGES)
def test_without_records_nothing_is_claimed(name: str) -> None:
    text = page(name)
    assert "There are no records of a run yet." in text
    assert "✅" not in text
    assert "[x]" not in text


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", PAGES)
def test_what_models_and_exceptions_say_stays_text(name: str, text: str) -> None:
    failure = FailureRecord(type="ValueError", message=text)
    records = [
        case_record(FP32, CHECKS[1], Outcome.FAILED, failure=failure),
        case_record(
            FP32,
            FakeCheck("recites_freely", "generation", ""),
            sample=text,
            measures={"prompt": text},
        ),
        measured("loads", "loading", dtype=text, device_map=text, attention=text),
        measured("special_tokens_present", "tokenizer", eos_token=text),
        pair_case("adapter_carries_states", Outcome.FAILED, failure=failure),
        pair_case("pair_has_its_parts", measures={"source_special_tokens": text}),
    ]
    written = page(name, *records)
    assert "\x1b" not in written
    tags = Tags()
    tags.feed(MarkdownIt("gfm-like", {"linkify": False}).render(written))
    assert not tags.seen & {"script", "img", "a"}


def test_the_pages_are_written_beside_the_report(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text("".join(dump_record(record) + "\n" for record in everywhere()))
    files = write_report(source, REGISTRY, tmp_path / "out", checks=CHECKS)
    assert {path.name for path in files.pages} == set(PAGES)
    assert all(path.read_text().startswith("# ") for path in files.pages)
