"""Made-up records over made-up models, for every end that a case can come to."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from compat.outcomes import Blame, Outcome, ReasonCode, Stage
from compat.registry.spec import ModelSpec, Registry
from compat.results.record import (
    CaseRecord,
    CaseStartRecord,
    EnvRecord,
    ExpectationRecord,
    FailureRecord,
    JobEndRecord,
    PlannedRecord,
    ReasonRecord,
    Record,
    RunRecord,
)
from compat.targets import CPU_MODES, Device, Kind, Mode, Target, Weights

HOSTILE = (
    "<script>alert('boom')</script>",
    '"><img src=x onerror=alert(1)>',
    "\x1b[31mred\x1b[0m and a \x00 null",
    "right \u202eot tfel\u202c to left",
    "{{ 7 * 7 }}{% raw %}",
    "| pipe | `tick` | \n| row |",
    "x" * 10_000,
)


@dataclass(frozen=True)
class FakeCheck:
    name: str
    area: str
    summary: str
    needs: frozenset[str] = frozenset()
    kind: Kind = Kind.MODEL

    def applies(self, mode: Mode, weights: Weights) -> bool:
        return (mode is Mode.META) is (self.area == "structure")


CHECKS = tuple(
    FakeCheck(name, area, f"{name.replace('_', ' ').capitalize()}.")
    for area, names in {
        "loading": "no_missing_keys dtype_as_asked releases_memory",
        "anatomy": "blocks_found blocks_fire_in_order widths_agree head_found projections_found",
        "tokenizer": "specials_inside_embedding pads_both_sides chat_template_renders "
        "unknown_keys_filtered",
        "forward": "logits_finite forward_repeats recites forward_is_causal "
        "left_padding_changes_nothing loss_is_cross_entropy hidden_states_complete",
        "generation": "greedy_repeats cache_changes_nothing batch_equals_singles stops_at_eos "
        "sampling_repeats generation_recites",
        "hooks": "block_fires_once capture_equals_hidden_states identity_is_exact "
        "steering_is_undone patching_last_block gradient_reaches_capture",
        "precision": "share_quantized close_to_reference footprint_as_predicted still_recites",
    }.items()
    for name in names.split()
)


def model_spec(name: str, **changes: object) -> ModelSpec:
    """A small registry entry; `changes` replace its keys."""
    values: dict[str, object] = {
        "id": name,
        "slug": name.rpartition("/")[2].lower(),
        "family": "llama",
        "class": "causal-lm",
        "architecture": "LlamaForCausalLM",
        "config": {"model_type": "llama"},
        "blocks": {"count": 16, "class": "LlamaDecoderLayer", "path": "model.layers"},
        "widths": {
            "hidden": 2048,
            "vocabulary": 128256,
            "heads": 32,
            "key_value_heads": 8,
            "head": 64,
        },
        "parameters": 1_235_814_400,
        "checkpoint": {"dtype": "bfloat16", "gb": 2.47, "license": "llama3.2", "gated": "manual"},
        "tokenizer": "byte-level-bpe",
        "evidence": {"confidence": "verified"},
    }
    return ModelSpec.model_validate(values | changes)


def registry_of(*models: ModelSpec) -> Registry:
    return Registry.model_validate({"schema": 1, "models": models})


def target_of(spec: ModelSpec, mode: Mode, weights: Weights = Weights.TWIN) -> Target:
    device = Device.CPU
    return Target(spec.id, spec.slug, weights, device, mode)


def reason_record(code: ReasonCode, text: str = "", action: str = "") -> ReasonRecord:
    return ReasonRecord(
        reason_class=code.reason_class,
        code=code,
        text=text or f"{code} here",
        action=action or f"do something about {code}",
    )


def case_record(
    target: Target,
    check: FakeCheck = CHECKS[0],
    outcome: Outcome = Outcome.PASSED,
    *,
    run: str = "r1",
    number: int = 0,
    started: str = "2026-11-20T10:00:00Z",
    **changes: object,
) -> CaseRecord:
    node = f"tests/test_compat.py::test_check[{target.node_part}-{check.name}]"
    values: dict[str, object] = {
        "run": run,
        "execution": f"{run}-main-{number}-{target.node_part}-{check.name}",
        "case": f"{target.id}/{check.name}",
        "family": "llama",
        "area": check.area,
        "check": check.name,
        "environment": "e1",
        "outcome": outcome,
        "stage": Stage.CHECK,
        "started": started,
        "seconds": 0.02,
        "reproduce": f"pytest '{node}'",
    }
    return CaseRecord.model_validate(values | changes)


def environment_record(run: str = "r1", **changes: object) -> EnvRecord:
    values: dict[str, object] = {
        "run": run,
        "id": "e1",
        "python": "3.11.4",
        "os": "Linux 6.1",
        "cpu": "AMD EPYC",
        "cpu_flags": ("avx512_bf16",),
        "cores": 2,
        "memory_gb": 25.1,
        "packages": {"torch": "2.13.0+cpu", "transformers": "5.23.0", "bitsandbytes": "0.50.2"},
    }
    return EnvRecord.model_validate(values | changes)


def planned_record(targets: Iterable[Target], run: str = "r1") -> PlannedRecord:
    return PlannedRecord(
        run=run, cases={target.id: tuple(check.name for check in CHECKS) for target in targets}
    )


def run_records(
    targets: Sequence[Target], *, run: str = "r1", exit_status: int = 0
) -> list[Record]:
    """What a run writes beside its cases."""
    return [
        RunRecord(
            run=run,
            started="2026-11-20T09:59:30Z",
            command=("pytest",),
            selection="twins of every model on the CPU",
            suite="0.1.0",
        ),
        environment_record(run),
        planned_record(targets, run),
        JobEndRecord(
            run=run,
            finished="2026-11-20T10:05:00Z",
            exit_status=exit_status,
            cases=len(targets) * len(CHECKS),
            loads=len(targets),
        ),
    ]


def passing(target: Target, **changes: object) -> list[CaseRecord]:
    """Every check passes."""
    return [case_record(target, check, **changes) for check in CHECKS]


def varied_records(registry: Registry, seed: int = 0) -> list[Record]:
    """A run over the whole registry in all CPU modes, with all that can happen in it."""
    rng = random.Random(seed)
    targets = [target_of(spec, mode) for spec in registry.models for mode in CPU_MODES]
    records = run_records(targets)
    for target in targets:
        records.extend(_varied_cases(target, rng))
    facts = Target("", "", Weights.CONFIG, Device.CPU, Mode.META)
    structure = FakeCheck("structure_matches_registry", "structure", "The facts are right.")
    for spec in registry.models:
        target = Target(spec.id, spec.slug, facts.weights, facts.device, facts.mode)
        records.append(case_record(target, structure))
    records.append(
        CaseStartRecord(
            run="r1",
            execution="r1-gw0-lost",
            case=f"{targets[8].id}/cache_changes_nothing",
            started="2026-11-20T10:03:00Z",
        )
    )
    return records


def _varied_cases(target: Target, rng: random.Random) -> Iterable[CaseRecord]:
    fate = rng.random()
    for number, check in enumerate(CHECKS):
        if fate < 0.04:
            code = list(ReasonCode)[int(fate * 1e6) % len(ReasonCode)]
            yield case_record(
                target,
                check,
                Outcome.SKIPPED,
                stage=Stage.REQUIREMENTS,
                reason=reason_record(code),
            )
        elif fate < 0.06 and check.area == "generation":
            yield case_record(target, check, Outcome.FAILED, failure=_failure(rng))
        elif target.mode is Mode.INT8 and fate < 0.3 and check.name == "share_quantized":
            yield case_record(
                target,
                check,
                Outcome.KNOWN_FAILURE,
                failure=_failure(rng),
                expectation=ExpectationRecord(
                    blame=Blame.UPSTREAM,
                    reason="Fused experts are left in full precision",
                    issue="https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1849",
                    line=812,
                ),
                measures={"share_quantized": 0.1},
            )
        elif fate > 0.98 and number % 9 == 4:
            outcome = rng.choice(list(Outcome))
            reason = reason_record(rng.choice(list(ReasonCode)))
            yield case_record(
                target,
                check,
                outcome,
                failure=_failure(rng) if outcome.fails_the_run else None,
                reason=reason if outcome is Outcome.SKIPPED else None,
                sample=rng.choice(HOSTILE),
            )
        elif check.name == "chat_template_renders" and rng.random() < 0.5:
            yield case_record(
                target,
                check,
                Outcome.SKIPPED,
                reason=reason_record(
                    ReasonCode.NOT_APPLICABLE,
                    "not applicable: chat_template",
                    "nothing to do: the property has no meaning for this model",
                ),
            )
        else:
            yield case_record(target, check, **_extras(check, rng))


def _extras(check: FakeCheck, rng: random.Random) -> dict[str, object]:
    if check.name == "no_missing_keys":
        return {
            "measures": {
                "load_seconds": rng.uniform(0.01, 0.04),
                "weights_bytes": rng.randrange(800_000, 3_000_000),
                "peak_rss_bytes": rng.randrange(600_000_000, 700_000_000),
            }
        }
    if check.name == "generation_recites":
        return {
            "measures": {"tokens_per_second": rng.uniform(90, 400), "recital": 1.0},
            "sample": "The quick brown fox jumps over the lazy dog and naps in the warm sun.",
        }
    if check.name == "close_to_reference":
        return {"measures": {"kl_nats": rng.uniform(1e-6, 1e-2), "top1_agreement": 1.0}}
    return {}


def _failure(rng: random.Random) -> FailureRecord:
    return rng.choice(
        [
            FailureRecord(
                type="AssertionError",
                message="logits differ with and without cache: 0.42 > 1e-4",
                trace="compat/checks/generation.py:81 in cache_changes_nothing\n"
                "    assert difference < bound",
            ),
            FailureRecord(
                type="RuntimeError",
                message="shape '[64, 1]' is invalid for input of size 4096",
                trace="bitsandbytes/functional.py:2104 in repack\n    return B.reshape(64, 1)",
            ),
            FailureRecord(type="ValueError", message=HOSTILE[0], trace=HOSTILE[2]),
        ]
    )
