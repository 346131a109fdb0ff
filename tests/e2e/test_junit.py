"""pytest's own JUnit XML, with what the suite knows of each case."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

GPU = ("-m", "gpu and fp32 and twin", "-k", "gpt2")


def cases_of(project) -> dict[str, ET.Element]:
    root = ET.parse(project.path / "junit.xml").getroot()
    return {case.get("name", ""): case for case in root.iter("testcase")}


def properties_of(case: ET.Element) -> dict[str, str]:
    return {one.get("name", ""): one.get("value", "") for one in case.iter("property")}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "on workers"])
def test_a_failure_has_its_message_and_what_case_it_is(project, workers):
    project.behave(answers="fail")
    run = project.run_apart if workers else project.run
    run("-k", "gpt2 and fp32", "--junitxml=junit.xml", *workers)
    case = cases_of(project)["test_check[gpt2-twin-cpu-fp32-answers]"]
    (failure,) = case.iter("failure")
    assert "answers is wrong by 0.5" in failure.get("message", "")
    assert properties_of(case) == {
        "compat_case": "openai-community/gpt2/twin/cpu/fp32/bare/answers",
        "compat_area": "forward",
        "compat_outcome": "failed",
    }


def test_a_skip_says_why_and_what_to_do(project):
    project.run(*GPU, "--junitxml=junit.xml")
    case = cases_of(project)["test_check[gpt2-twin-gpu-fp32-answers]"]
    said = properties_of(case)
    assert said["compat_outcome"] == "skipped"
    assert said["compat_reason"] == "no-gpu: no GPU"
    assert said["compat_action"]
