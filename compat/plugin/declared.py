"""The `--compat-*` options and their ini settings, as `pytest --help` shows them."""

from __future__ import annotations

import pytest

from compat.plugin.amounts import ANY
from compat.plugin.deadlines import DEFAULTS
from compat.plugin.wrappers import own_wrappers
from compat.targets import Mode, Weights
from compat.targets.target import BARE

DEFAULT_REPORT = "reports"


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
        "--compat-resume",
        nargs="?",
        const="",
        metavar="RECORDS",
        help="do not run again what earlier records have settled: a case that was in order with "
        "the same sources, registry entry, revision, libraries and hardware. By default the "
        "records of all runs.",
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
