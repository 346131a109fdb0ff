"""Somebody else's wrapper under the suite: real models, one load for all wrappers of a target."""

from __future__ import annotations

import inspect
import textwrap

import pytest

from compat.plugin import hookspec
from compat.weights.twin import default_cache

CACHE = default_cache()
"""That of this user; inside a project of a test the home folder is another."""
ONE = "openai-community/gpt2/twin/cpu/fp32"

NOISY = '''
class Noisy:
    """Its hook on the last block mixes up the features; `unwrap` takes it off, or not."""

    name = "noisy"
    tidy = True

    def wrap(self, model, tokenizer, **subject):
        from compat.interventions import hidden_of, with_hidden
        from compat.subject import Subject

        wrapped = Subject(model=model, tokenizer=tokenizer, **subject)
        block = wrapped.anatomy.blocks[-1].module
        wrapped.hook = block.register_forward_hook(
            lambda _block, _args, output: with_hidden(output, hidden_of(output).flip(-1))
        )
        return wrapped

    def unwrap(self, subject):
        if self.tidy:
            subject.hook.remove()

class Untidy(Noisy):
    name = "untidy"
    tidy = False

def pytest_compat_wrappers(config):
    return {"noisy": Noisy, "untidy": Untidy}
'''


def example() -> str:
    """The conftest.py in the documentation of the hook, from its first line on."""
    text = inspect.getdoc(hookspec.pytest_compat_wrappers) or ""
    begin = text.index("    class Halved")
    end = text.index("\nand run the suite")
    return textwrap.dedent(text[begin:end])


@pytest.fixture
def run(project):
    """Run checks on the twin of GPT-2 in float32, with a conftest and wrappers."""

    def run(conftest: str, wrappers: str, *arguments: str) -> pytest.RunResult:
        project.pytester.makeconftest(conftest)
        # torch can't be imported twice in a process, and pytester forgets what a run has imported.
        return project.run_apart(
            "--compat-model=gpt2",
            "--compat-modes=fp32",
            f"--compat-wrapper={wrappers}",
            f"--compat-twin-cache={CACHE}",
            *arguments,
        )

    return run


def loads_of(project) -> int:
    return sum(end["loads"] for end in project.records("job_end"))


def test_the_documented_example_runs_beside_bare_on_one_load(project, run):
    result = run(example(), "bare,halved", "-k", "recites or greedy")
    result.assert_outcomes(passed=6)
    assert {case.split("/")[5] for case in project.outcomes()} == {"bare", "halved"}
    assert loads_of(project) == 1


def test_what_bare_passes_and_wrapped_fails_is_the_wrapper_s(project, run):
    run(NOISY, "bare,noisy", "-k", "recites_freely or logits_finite")
    assert project.outcomes() == {
        f"{ONE}/bare/recites_freely": "passed",
        f"{ONE}/bare/logits_finite": "passed",
        f"{ONE}/noisy/recites_freely": "failed",
        f"{ONE}/noisy/logits_finite": "passed",
    }
    assert loads_of(project) == 1


def test_a_wrapper_that_stays_on_is_found_out_and_meets_no_other(project, run):
    result = run(NOISY, "untidy,bare", "-k", "recites_freely or logits_finite")
    result.stdout.fnmatch_lines(["*NotPristineError*hooks on transformer.h.*"])
    outcomes = project.outcomes()
    assert outcomes[f"{ONE}/untidy/recites_freely"] == "failed"
    assert outcomes[f"{ONE}/bare/recites_freely"] == "passed"
    assert loads_of(project) == 2


def test_a_node_id_names_its_wrapper_by_itself(project):
    project.pytester.makeconftest(example())
    case = "test_suite.py::test_check[gpt2-twin-cpu-fp32-halved-logits_finite]"
    result = project.run_apart(case, f"--compat-twin-cache={CACHE}")
    result.assert_outcomes(passed=1)
    assert list(project.outcomes()) == [f"{ONE}/halved/logits_finite"]


def test_what_a_wrapper_takes_from_a_model_is_not_applicable_to_it(project, run):
    taken = NOISY.replace("return wrapped", "wrapped.lacks = {'inputs-embeds'}; return wrapped")
    run(taken, "bare,noisy", "-k", "embeds_equal_ids or forward_repeats")
    assert project.outcomes() == {
        f"{ONE}/bare/embeds_equal_ids": "passed",
        f"{ONE}/bare/forward_repeats": "passed",
        f"{ONE}/noisy/embeds_equal_ids": "skipped",
        f"{ONE}/noisy/forward_repeats": "passed",
    }


def test_nothing_is_wrapped_that_was_not_asked_for(project):
    project.pytester.makeconftest(example())
    result = project.run("--collect-only", "-q")
    assert "halved" not in result.stdout.str()
    assert "adaptive" not in result.stdout.str()


def test_config_and_pairs_have_no_wrapper(project):
    result = project.run("--collect-only", "-q", "--compat-wrapper=adaptive")
    for kind in ("*-config-cpu-*", "*-to-*"):
        result.stdout.no_fnmatch_line(kind)
    result.stdout.fnmatch_lines(["*gpt2-twin-cpu-fp32-adaptive-*"])


@pytest.mark.parametrize(
    ("offered", "problem"),
    [
        ("{'bare': object}", "two wrappers are called 'bare'"),
        ("{'Half': object}", "'Half' is not lower case with hyphens"),
    ],
)
def test_a_name_that_can_not_be_is_said_at_once(project, offered, problem):
    project.pytester.makeconftest(f"def pytest_compat_wrappers(config):\n    return {offered}\n")
    result = project.run("--collect-only")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*pytest_compat_wrappers: {problem}"])


def test_a_wrapper_that_nobody_offers_is_answered_by_those_that_are(project):
    project.pytester.makeconftest(example())
    result = project.run("--compat-wrapper=quartered")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'quartered' is none of bare, adaptive, halved"])
