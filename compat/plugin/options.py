"""What the `--compat-*` options and their ini settings say, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat.plugin.amounts import download_allowed, skips_allowed
from compat.plugin.deadlines import Deadlines
from compat.plugin.wrappers import offered_wrappers, wrappers_named
from compat.targets import Mode, Weights
from compat.targets.selection import Request, SelectionError, parse_names

if TYPE_CHECKING:
    from compat.outcomes import ReasonCode
    from compat.plugin.skip_budget import SkipBudget


@dataclass(frozen=True)
class Options:
    """What the command line and the ini file ask of the suite."""

    request: Request
    folders: tuple[Path, ...]
    """Checkpoint folders given with --compat-model."""
    folder_pairs: tuple[tuple[Path, Path], ...]
    """Two checkpoint folders each, given with --compat-pair."""
    registry: Path | None
    allow_remote_code: bool
    allow_pickle: bool
    download: float | None
    """GB that may be downloaded in all; None: nothing."""
    evict: bool
    """Whether downloads of this run are removed once they have been tested."""
    no_skip: frozenset[ReasonCode]
    max_skips: SkipBudget | None
    twin_cache: Path | None
    deadlines: Deadlines
    records: Path
    """The folder that each run makes its own folder in."""
    report: Path | None
    """Where to write the report at the end; None: not asked for."""
    baseline: Path | None
    """Records that the run is compared with at its end."""
    resume: Path | None
    """Earlier records, of which what is settled is not run again."""
    plan: Path | None
    """What `compat plan` wrote, of which `job` is run."""
    job: int


def read_options(config: pytest.Config) -> Options:
    """Read the options of this run.

    Raises SelectionError for a value that is none of those allowed.
    """
    get = config.getoption
    here = config.invocation_params.dir
    names, folders = _models(get("--compat-model"), here, "--compat-model")
    pairs, folder_pairs = _pairs(get("--compat-pair"), here)
    weights, modes = get("--compat-weights"), get("--compat-modes")
    request = Request(
        weights=None if weights is None else parse_names(Weights, weights, "--compat-weights"),
        modes=None if modes is None else parse_names(Mode, modes, "--compat-modes"),
        wrappers=wrappers_named(get("--compat-wrapper"), offered_wrappers(config)),
        models=names,
        pairs=pairs,
        families=_list(get("--compat-families")),
        per_family=get("--compat-per-family"),
    )
    registry = get("--compat-registry") or config.getini("compat_registry")
    records = get("--compat-records") or config.getini("compat_records")
    report = get("--compat-report")
    twin_cache = get("--compat-twin-cache")
    return Options(
        request=request,
        folders=folders,
        folder_pairs=folder_pairs,
        registry=config.rootpath / registry if registry else None,
        allow_remote_code=get("--compat-allow-remote-code"),
        allow_pickle=get("--compat-allow-pickle"),
        download=download_allowed(get("--compat-download"), config.getini("compat_download")),
        evict=get("--compat-evict"),
        max_skips=skips_allowed(get("--compat-max-skips")),
        no_skip=_reasons(get("--compat-no-skip")),
        deadlines=Deadlines.parse(
            [config.getini("compat_deadlines"), *get("--compat-deadline")], "--compat-deadline"
        ),
        twin_cache=None if twin_cache is None else Path(twin_cache).expanduser(),
        records=config.rootpath / records,
        report=None if report is None else config.rootpath / _folder(report),
        baseline=_existing(get("--compat-baseline"), here, "--compat-baseline"),
        resume=_earlier_records(get("--compat-resume"), here, config.rootpath / records),
        plan=_existing(get("--compat-plan"), here, "--compat-plan"),
        job=get("--compat-job"),
    )


def _earlier_records(given: str | None, here: Path, all_runs: Path) -> Path | None:
    """What --compat-resume goes on from: where no place is named, the records of all runs."""
    return all_runs if given == "" else _existing(given, here, "--compat-resume")


def _existing(text: str | None, here: Path, option: str) -> Path | None:
    if text is None:
        return None
    path = here / Path(text).expanduser()
    if not path.exists():
        raise SelectionError(f"{option}: no such file or folder: {text}")
    return path


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _models(
    given: Sequence[str], here: Path, option: str
) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """Tell folders from names: a folder is what holds a config.json."""
    names: list[str] = []
    folders: list[Path] = []
    for text in given:
        path = (here / Path(text).expanduser()).resolve()
        if (path / "config.json").is_file():
            folders.append(path)
        elif path.is_dir() or text.startswith((".", "/", "~")):
            raise SelectionError(f"{option}: {text!r} holds no config.json")
        else:
            names.extend(_list(text))
    return tuple(names), tuple(folders)


def _pairs(
    given: Sequence[Sequence[str]], here: Path
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[Path, Path], ...]]:
    """Tell pairs of names from pairs of folders; both models of a pair are loaded alike."""
    named: list[tuple[str, str]] = []
    in_folders: list[tuple[Path, Path]] = []
    for pair in given:
        names, folders = _models(pair, here, "--compat-pair")
        match (*names, *folders):
            case (str() as source, str() as target):
                named.append((source, target))
            case (Path() as source_folder, Path() as target_folder):
                in_folders.append((source_folder, target_folder))
            case _:
                raise SelectionError(
                    f"--compat-pair: {' '.join(map(repr, pair))}: two models of the registry, or "
                    "two folders"
                )
    return tuple(named), tuple(in_folders)


def _folder(given: str) -> str:
    """A folder to write to: never what was meant as the tests to run."""
    if "::" in given or given.endswith(".py"):
        raise SelectionError(
            f"--compat-report: {given!r} is no folder; write --compat-report=FOLDER, or give the "
            "tests first"
        )
    return given


def _reasons(text: str | None) -> frozenset[ReasonCode]:
    """The reasons that are named, one by one or by their class."""
    from compat.outcomes import ReasonClass, ReasonCode

    codes: set[ReasonCode] = set()
    for name in _list(text):
        named = {code for code in ReasonCode if name in (code, code.reason_class)}
        if not named:
            allowed = ", ".join((*ReasonClass, *ReasonCode))
            raise SelectionError(f"--compat-no-skip: {name!r} is none of {allowed}")
        codes |= named
    return frozenset(codes)
