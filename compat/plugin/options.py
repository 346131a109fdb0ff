"""The `--compat-*` options, their ini settings, and what they say as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat.plugin.amounts import ANY, download_allowed, skips_allowed
from compat.plugin.deadlines import DEFAULTS, Deadlines
from compat.plugin.wrappers import offered_wrappers, own_wrappers, wrappers_named
from compat.targets import Mode, Weights
from compat.targets.selection import Request, SelectionError, parse_names
from compat.targets.target import BARE

if TYPE_CHECKING:
    from compat.outcomes import ReasonCode
    from compat.plugin.skip_budget import SkipBudget

DEFAULT_REPORT = "reports"


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
    plan: Path | None
    """What `compat plan` wrote, of which `job` is run."""
    job: int


def add_options(parser: pytest.Parser) -> None:
    """Declare every option in a help group of its own."""
    group = parser.getgroup("compat", "compatibility of language models (compat)")
    add = group.addoption
    add(
        "--compat-model",
        action="append",
        default=[],
        metavar="NAME",
        help="test this model: an id, alias or slug of the registry; or what need not be in it: "
        "the folder of a checkpoint, or org/name[@revision] on the hub. Repeatable.",
    )
    add(
        "--compat-pair",
        action="append",
        nargs=2,
        default=[],
        metavar=("SOURCE", "TARGET"),
        help="test whether the states of one model can be carried into another, each given by "
        "id, alias or slug, or both as folders of checkpoints. Repeatable.",
    )
    add(
        "--compat-families",
        metavar="NAMES",
        help="test the models of these families, comma-separated.",
    )
    add(
        "--compat-per-family",
        type=int,
        metavar="N",
        help="test the first N models of each family.",
    )
    add(
        "--compat-weights",
        metavar="KINDS",
        help=f"test these weights: {', '.join(Weights)}. By default twin and config, and what "
        "-m brings in.",
    )
    add(
        "--compat-modes",
        metavar="MODES",
        help=f"test in these modes: {', '.join(Mode)}. By default every mode of the device but "
        "fp4.",
    )
    add(
        "--compat-wrapper",
        metavar="NAMES",
        help=f"what stands around the model, comma-separated: {', '.join(own_wrappers())}, or what "
        f"`pytest_compat_wrappers` offers. By default {BARE}.",
    )
    add(
        "--compat-allow-remote-code",
        action="store_true",
        help="run the code that a checkpoint brings along: of models whose entry trusts it and "
        "pins its commit, and of folders given with --compat-model.",
    )
    add(
        "--compat-allow-pickle",
        action="store_true",
        help="unpickle weights that are not stored as safetensors, which can run any code: of "
        "models whose entry trusts them and pins their commit, and of folders given with "
        "--compat-model.",
    )
    add(
        "--compat-download",
        nargs="?",
        const=ANY,
        metavar="GB",
        help="download checkpoints that are not in the Hugging Face cache, at most so many GB "
        "(10^9 bytes) in this run.",
    )
    add(
        "--compat-evict",
        action="store_true",
        help="remove what this run has downloaded of a model once its cases are done.",
    )
    add(
        "--compat-max-skips",
        metavar="N[%]",
        help="fail the run where more cases are skipped, for whatever reason but that they do not "
        "apply.",
    )
    add(
        "--compat-no-skip",
        metavar="REASONS",
        help="let skips of these reasons, or classes of reasons, fail, such as gated,environment: "
        "so that a nightly run can't be green for having run nothing.",
    )
    add(
        "--compat-deadline",
        action="append",
        default=[],
        metavar="STAGE=SECONDS",
        help="end a worker that takes longer for a stage of one case, and go on in a fresh one; "
        f"the stages are {', '.join(DEFAULTS)}. Repeatable, or comma-separated.",
    )
    add(
        "--compat-isolate",
        action="store_true",
        help="run targets in a child process, so that one that dies or hangs costs one case; "
        "with -n they do anyhow.",
    )
    add(
        "--compat-report",
        nargs="?",
        const=DEFAULT_REPORT,
        metavar="FOLDER",
        help=f"write the report of this run at its end, by default into {DEFAULT_REPORT}/.",
    )
    add(
        "--compat-baseline",
        metavar="FILE",
        help="say at the end what changed since these records: a file, or a folder with *.jsonl "
        "below it.",
    )
    add(
        "--compat-records",
        metavar="FOLDER",
        help="keep the records of runs here. By default reports/runs.",
    )
    add("--compat-plan", metavar="FILE", help="run one job of what `compat plan` wrote.")
    add("--compat-job", type=int, default=0, metavar="N", help="which one. By default 0.")
    add("--compat-registry", metavar="FILE", help="the registry. By default models.yaml.")
    add(
        "--compat-twin-cache",
        metavar="FOLDER",
        help="keep taught twins here. By default the user's cache.",
    )
    parser.addini("compat_registry", "the registry of models, relative to the rootdir", default="")
    parser.addini(
        "compat_download", f"GB that a run may download, or {ANY}; nothing by default", default=""
    )
    parser.addini(
        "compat_deadlines", "seconds that a stage may take, as of --compat-deadline", default=""
    )
    parser.addini("compat_records", "folder of run records", default="reports/runs")


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
        plan=_existing(get("--compat-plan"), here, "--compat-plan"),
        job=get("--compat-job"),
    )


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
