"""What a run of the suite knows: made when the first test asks for a target, kept in the stash."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from compat.plugin.options import Options, read_options
from compat.plugin.stash import CHECKS, MACHINE, OPENER
from compat.plugin.workers import GPU_USABLE, MAIN, RUN_ID
from compat.targets import Device
from compat.targets.selection import SelectionError, entries_with, narrow, requested_pairs

if TYPE_CHECKING:
    from compat.checks.registry import Catalogue
    from compat.plugin.folders import GivenFolders
    from compat.plugin.holder import Holder
    from compat.plugin.named_models import NamedModels
    from compat.plugin.recording import Recorder
    from compat.plugin.shelf import Shelf
    from compat.plugin.wrappers import WrapperFactory
    from compat.registry.failures import FailureIndex
    from compat.registry.pair import Entry, PairSpec
    from compat.registry.spec import ModelSpec, Registry
    from compat.runner import AnySubject
    from compat.targets.devices import Host
    from compat.targets.plan import PlannedTarget
    from compat.weights.hub import Hub, Ledger

SESSION: pytest.StashKey[CompatSession] = pytest.StashKey()
DOWNLOADS = "downloads.log"
"""Beside the records of a run: what it has downloaded."""


class CompatSession:
    """Options, registry, catalogue and host of one run, each found when it is first needed."""

    def __init__(self, config: pytest.Config, options: Options, run: str = "") -> None:
        self.config = config
        self.options = options
        self._run = run

    @classmethod
    def of(cls, config: pytest.Config, run: str = "") -> CompatSession:
        """The session of this run, made now if need be; `run` is its id, if it has one already.

        Raises RegistryError or SelectionError, whose text is for the person at the terminal.
        """
        if SESSION not in config.stash:
            session = cls(config, read_options(config), run)
            session.refuse_stale_rows()
            config.stash[SESSION] = session
        return config.stash[SESSION]

    @cached_property
    def _written(self) -> Registry:
        """All of models.yaml. Raises RegistryError."""
        from compat.registry.load import default_registry_path, load_registry

        return load_registry(self.options.registry or default_registry_path())

    @cached_property
    def named(self) -> NamedModels:
        """What the names given with --compat-model stand for."""
        from compat.plugin.named_models import NamedModels

        return NamedModels.of(self.options.request.models, self._written)

    @cached_property
    def registry(self) -> Registry:
        """All of models.yaml, at the revisions that were asked for. Raises RegistryError."""
        return self.named.pin(self._written)

    @cached_property
    def unlisted(self) -> tuple[ModelSpec, ...]:
        """The named models that are in no registry, described by the hub. Raises SelectionError."""
        return self.named.described(self.hub, self._written)

    @cached_property
    def catalogue(self) -> Catalogue:
        """Every check: this suite's, and those that the project's own modules declared."""
        from compat.checks.registry import load_catalogue
        from compat.plugin.marks import register_area

        catalogue = self.config.stash.get(CHECKS, None) or load_catalogue()
        for area in {check.area for check in catalogue}:
            register_area(self.config, area)
        return catalogue

    @cached_property
    def host(self) -> Host:
        """This machine, with all GPUs of the run: a worker sees its own, or its own first."""
        from compat.targets.devices import this_host

        return this_host(self.config.stash.get(MACHINE, os.environ))

    @cached_property
    def present(self) -> frozenset[Device]:
        """The devices that targets can run on here."""
        told = self.workerinput.get(GPU_USABLE)
        gpu = self.host.gpu_usable if told is None else told
        return frozenset(Device) if gpu else frozenset({Device.CPU})

    @cached_property
    def given(self) -> GivenFolders:
        """The folders given on the command line. Raises SelectionError."""
        from compat.plugin.folders import GivenFolders

        return GivenFolders.of(self.options)

    @cached_property
    def pairs(self) -> tuple[PairSpec, ...]:
        """The pairs asked for by name. Raises SelectionError for an unknown model."""
        return requested_pairs(self.registry, self.options.request)

    @cached_property
    def models(self) -> frozenset[str] | None:
        """Ids of the models and pairs that the run is narrowed to; None: all of the registry."""
        request = replace(self.options.request, models=self.named.listed)
        added: tuple[Entry, ...] = (*self.pairs, *self.unlisted)
        given = frozenset((*self.given.ids, *(entry.id for entry in added)))
        narrowed = request.models or request.families or request.per_family is not None
        if not narrowed:
            return given or None
        return given.union(spec.id for spec in narrow(self.registry, request))

    @cached_property
    def listed(self) -> tuple[Entry, ...]:
        """Every model and pair of the registry, and the other pairs that were asked for."""
        return entries_with(self.registry, self.pairs)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All there is to test: what is listed, then the given folders and repositories."""
        return (*self.listed, *self.given.entries, *self.unlisted)

    def entry_of(self, model: str) -> Entry | None:
        """What has this id among all there is to test."""
        return next((entry for entry in self.entries if entry.id == model), None)

    @cached_property
    def mark_names(self) -> frozenset[str]:
        """The marks that cases carry, of which nobody else decides."""
        from compat.plugin.marks import suite_marks

        suite = {name.partition("(")[0] for name, _ in suite_marks()}
        return frozenset(suite | {check.area for check in self.catalogue})

    def ids_of(self, names: Sequence[str], where: str) -> Iterator[str]:
        """The ids of models given by id, alias or slug. Raises SelectionError."""
        from compat.registry.spec import UnknownModelError

        for name in names:
            try:
                yield self.registry.by_id(name).id
            except UnknownModelError as error:
                raise SelectionError(f"{where}: {error}") from error

    @cached_property
    def failures(self) -> FailureIndex:
        """The known failures that can show on this machine."""
        from compat.registry.conditions import Conditions, installed_packages
        from compat.registry.failures import FailureIndex
        from compat.registry.rows import all_rows

        gpus = self.host.gpus
        conditions = Conditions(
            packages=installed_packages(row for _, row in all_rows(self.registry)),
            cpu_flags=frozenset(self.host.cpu_flags),
            cuda_capability=".".join(map(str, gpus[0].capability)) if gpus else None,
        )
        return FailureIndex(self.registry, conditions)

    @cached_property
    def workerinput(self) -> Mapping[str, Any]:
        """What xdist's controller has told this process; empty where it is no worker."""
        return getattr(self.config, "workerinput", {})

    @cached_property
    def holder(self) -> Holder:
        """What is loaded in this process."""
        from compat.plugin.holder import Holder

        return Holder(self._open, self.shelf)

    @contextmanager
    def _open(self, planned: PlannedTarget) -> Iterator[AnySubject]:
        from compat.outcomes.stages import stages_told_to
        from compat.plugin.given_up import GivenUp
        from compat.plugin.opening import open_planned

        GivenUp(self.folder).refuse(planned.target.load_part)
        with ExitStack() as stack:
            with stages_told_to(self.recorder.go_on):
                opening = self.config.stash.get(OPENER, open_planned)(planned, self)
                subject = stack.enter_context(opening)
            yield subject

    @cached_property
    def shelf(self) -> Shelf:
        """What is loaded and waits for the next target that shares it."""
        from compat.plugin.shelf import Shelf

        return Shelf()

    @cached_property
    def wrappers(self) -> Mapping[str, WrapperFactory]:
        """Every wrapper that somebody offers. Raises SelectionError."""
        from compat.plugin.wrappers import offered_wrappers

        return offered_wrappers(self.config)

    @cached_property
    def hub(self) -> Hub:
        """The hub as this process may use it."""
        from compat.weights.hub import Access, Hub

        options = self.options
        access = Access(
            download=options.download,
            allow_pickle=options.allow_pickle,
            allow_code=options.allow_remote_code,
        )
        return Hub(access, ledger=self.downloads, announce=self.announce)

    @property
    def downloads(self) -> Ledger:
        """What all processes of this run have downloaded."""
        from compat.weights.hub import Ledger

        return Ledger(self.folder / DOWNLOADS)

    @property
    def folder(self) -> Path:
        """Where the records of this run are."""
        return self.recorder.writer.path.parent

    def records_of(self, worker: str) -> Path:
        """The file that a worker of this run writes its records to."""
        return self.folder / f"{worker}.jsonl"

    @cached_property
    def recorder(self) -> Recorder:
        """What writes the records of this process."""
        from compat.plugin.recording import Recorder
        from compat.results.writer import new_run_id

        run = self.workerinput.get(RUN_ID) or self._run or new_run_id()
        return Recorder(self, run, self.workerinput.get("workerid", MAIN))

    def announce(self, text: str) -> None:
        """Tell the person at the terminal what takes long."""
        from compat.plugin.terminal import say, say_from_worker

        if self.workerinput:
            say_from_worker(self.config, self.workerinput["workerid"], text)
        else:
            say(self.config, text)

    def selection_in_words(self) -> str:
        """What was asked for, for the report's header."""
        option = self.config.getoption
        parts = [f"-m {option('markexpr')!r}" if option("markexpr") else ""]
        parts.append(f"-k {option('keyword')!r}" if option("keyword") else "")
        request = self.options.request
        for what, names in (
            ("weights", request.weights),
            ("modes", request.modes),
            ("models", request.models),
            ("pairs", [" to ".join(pair) for pair in request.pairs]),
            ("families", request.families),
        ):
            parts.append(f"{what} {', '.join(sorted(names))}" if names else "")
        if request.per_family is not None:
            parts.append(f"first {request.per_family} of each family")
        return "; ".join(filter(None, parts)) or "everything"

    def files_in_words(self) -> Iterator[str]:
        """Where the records of this run are, and its report if it was asked for."""
        yield f"records: {self._shown(self.folder)}"
        if self.options.report is not None:
            yield f"report: {self._shown(self.options.report / 'index.html')}"

    def _shown(self, path: Path) -> str:
        here = self.config.invocation_params.dir
        return str(path.relative_to(here) if path.is_relative_to(here) else path)

    @property
    def registry_with_given(self) -> Registry:
        """The registry, with the folders, pairs and repositories that were asked for beside it."""
        return self.given.added_to(self.registry, self.pairs, self.unlisted)

    def write_report(self) -> None:
        """Write the report of this run, and GitHub's summary, where asked for. Raises OSError."""
        from compat.plugin.reporting import report_run, wants_report

        if self.recorder.writer.written and wants_report(self.options.report):
            report_run(
                self.folder,
                self.registry_with_given,
                tuple(self.catalogue),
                folder=self.options.report,
                baseline=self.options.baseline,
            )

    def refuse_stale_rows(self) -> None:
        """Raise RegistryError for known failures that no case of the whole can show."""
        from compat.plugin.stale import refuse_stale

        file = self.options.registry.name if self.options.registry else "models.yaml"
        refuse_stale(self.registry, tuple(self.catalogue), file)
