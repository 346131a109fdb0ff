from __future__ import annotations

import pytest

from compat.plugin.kept_reports import FIRST, share_common_parts


def test_reports_of_one_case_hold_the_same_keywords(request: pytest.FixtureRequest) -> None:
    item = request.node
    setup, teardown = report_of(item, "setup"), report_of(item, "teardown")
    assert setup.keywords is not teardown.keywords
    share_common_parts(item, setup)
    share_common_parts(item, teardown)
    assert setup.keywords is teardown.keywords
    assert setup.location is teardown.location
    assert FIRST not in item.stash


def test_a_mark_that_came_during_the_case_stays_with_the_later_reports(
    request: pytest.FixtureRequest,
) -> None:
    item = request.node
    setup = report_of(item, "setup")
    share_common_parts(item, setup)
    item.add_marker("hooks")
    call, teardown = report_of(item, "call"), report_of(item, "teardown")
    share_common_parts(item, call)
    share_common_parts(item, teardown)
    assert "hooks" in call.keywords
    assert "hooks" not in setup.keywords


def report_of(item: pytest.Item, when: str) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=(*item.location,),
        keywords=dict.fromkeys(item.keywords, 1),
        outcome="passed",
        longrepr=None,
        when=when,  # type: ignore[arg-type]
    )
