"""pytest hooks, and nothing else: what they do stands in the modules beside this one.

Everything but options and marks is imported when a test asks for a target.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING

import pytest

from compat.plugin.session import SESSION
from compat.plugin.stash import PROBLEM, PROBLEM_KEY

if TYPE_CHECKING:
    from compat.plugin.case import Asked
    from compat.plugin.options import Options
    from compat.plugin.wrappers import WrapperFactory

pytest_plugins = ["compat.plugin.fixtures", "compat.plugin.ending"]


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Offer the hooks that projects may implement."""
    from compat.plugin import hookspec

    pluginmanager.add_hookspecs(hookspec)


def pytest_compat_wrappers() -> Mapping[str, WrapperFactory]:
    """Offer the wrappers that come with the suite."""
    from compat.plugin.wrappers import own_wrappers

    return own_wrappers()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Have a worker do the work where targets are to run in a child process; share the machine."""
    from compat.plugin.workers import prepare

    prepare(config)
    if config.getoption("--compat-isolate"):
        from compat.plugin.workers import isolate

        isolate(config)
    return (yield)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Say what `-n auto` stands for."""
    from compat.plugin.workers import workers_worth

    return workers_worth(config)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    from compat.plugin.declared import add_options

    add_options(parser)


@pytest.hookimpl(trylast=True)  # when the terminal's reporter is there
def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, check the options, and add what a terminal or a controller needs."""
    from compat.plugin import marks
    from compat.plugin.options import read_options
    from compat.results.visible import visible
    from compat.targets.selection import SelectionError

    marks.register(config)
    try:
        _add_companions(config, read_options(config))
    except SelectionError as error:
        raise pytest.UsageError(visible(str(error))) from None


def _add_companions(config: pytest.Config, options: Options) -> None:
    from compat.plugin.cleaning import CleanWarnings
    from compat.plugin.cuda_guard import CudaGuard
    from compat.plugin.durations import Durations
    from compat.plugin.interruption import Interruption

    manager = config.pluginmanager
    manager.register(CleanWarnings(config), "compat-warnings")
    manager.register(Interruption(), "compat-interruption")
    durations = Durations(config)
    manager.register(CudaGuard(in_worker=hasattr(config, "workerinput")), "compat-cuda")
    if manager.has_plugin("terminalreporter"):
        from compat.plugin.live import Live
        from compat.plugin.progress import Progress

        progress = Progress(config, durations)
        manager.register(progress, "compat-progress")
        manager.register(Live(config, progress), "compat-live")
    if not hasattr(config, "workerinput"):
        manager.register(durations, "compat-durations")
        if manager.has_plugin("xdist"):
            from compat.plugin import distribution

            manager.register(distribution.Controller(config, durations), "compat-controller")
    if options.max_skips is not None and not hasattr(config, "workerinput"):
        from compat.plugin.skip_budget import SkipCounter

        manager.register(SkipCounter(options.max_skips), "compat-skips")
    if options.evict and not hasattr(config, "workerinput"):
        from compat.plugin.eviction import Eviction

        manager.register(Eviction(config), "compat-eviction")
    if options.baseline is not None and not hasattr(config, "workerinput"):
        from compat.plugin.baseline import Baseline

        manager.register(Baseline(config, options.baseline), "compat-baseline")
    if config.getoption("xmlpath", None) and not hasattr(config, "workerinput"):
        from compat.plugin.junit import JUnitProperties

        manager.register(JUnitProperties(), "compat-junit")
    if manager.has_plugin("html"):
        from compat.plugin import html

        manager.register(html, "compat-html")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give tests that ask for this plugin's subject their targets."""
    if "subject" not in metafunc.fixturenames or PROBLEM in metafunc.config.stash:
        return
    from compat.plugin import collection

    if collection.takes_a_subject(metafunc):
        collection.generate_or_note(metafunc)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests without a target, and all of them where nothing can be run."""
    if SESSION in config.stash:
        from compat.plugin.workers import share_machine

        share_machine(config)
    problem = config.stash.get(PROBLEM, None)
    if problem is not None:
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(problem)
        items.clear()  # the controller says why
    elif SESSION in config.stash:
        from compat.plugin.collection import drop_empty

        dropped = drop_empty(items)
        if config.stash[SESSION].options.resume is not None:
            from compat.plugin.resume import drop_settled

            dropped += drop_settled(config.stash[SESSION], items)
        if dropped:
            config.hook.pytest_deselected(items=dropped)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the cases of a target together, whatever others (--ff, say) have done to the order."""
    if SESSION in session.config.stash:
        from compat.plugin.collection import keep_together
        from compat.plugin.execution import offer_last_words

        keep_together(session.items)
        offer_last_words(session.config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Write what is about to be run."""
    if SESSION in session.config.stash and not session.config.option.collectonly:
        from compat.plugin.execution import begin_session

        begin_session(session)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note that a case has begun."""
    asked = _asked_of(item)
    if asked is not None:
        from compat.plugin.execution import begin

        begin(item, asked)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """See to it that a test leaves no trace on the model it was given."""
    __tracebackhide__ = True
    if _asked_of(pyfuncitem) is None:
        return (yield)
    from compat.plugin.execution import watch

    with watch(pyfuncitem):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say what the case came to, and record it."""
    report = yield
    asked = _asked_of(item)
    if asked is not None:
        from compat.plugin.cleaning import clean_report
        from compat.plugin.execution import judge
        from compat.plugin.kept_reports import share_common_parts

        share_common_parts(item, report)
        judge(item, asked, call, report)
        clean_report(report, item.config.stash[SESSION].recorder.redactor)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Free a target after its last case."""
    yield
    if _asked_of(item) is not None:
        from compat.plugin.execution import let_go

        let_go(item, nextitem)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None]:
    """Free what an interruption has left loaded, end the records, and write the report."""
    from compat.plugin.settled import SETTLED_CASES, SETTLED_KEY

    settled = session.config.stash.get(SETTLED_CASES, 0)
    if settled and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = exitstatus = pytest.ExitCode.OK  # all of it has been settled before
    try:
        if SESSION in session.config.stash:
            from compat.plugin.execution import end_session

            end_session(session.config, exitstatus)
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[PROBLEM_KEY] = session.config.stash.get(PROBLEM, None)
            session.config.workeroutput[SETTLED_KEY] = settled
    finally:
        yield
    if SESSION in session.config.stash and not hasattr(session.config, "workerinput"):
        from compat.plugin.cleaning import clean_logs

        clean_logs(session.config, session.config.stash[SESSION].recorder.redactor)


def _asked_of(item: pytest.Item) -> Asked | None:
    if SESSION not in item.config.stash:
        return None
    from compat.plugin.case import asked_of

    return asked_of(item)
