"""The house: which room may import which, and which must stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "compat"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))

FLOORS = {
    "outcomes": 0,
    "registry": 1,
    "anatomy": 1,
    "targets": 2,
    "interventions": 2,
    "pairs": 2,
    "results": 3,
    "fit": 4,
    "subject": 5,
    "weights": 5,
    "report": 5,
    "cluster": 5,
    "checks": 6,
    "wrappers": 6,
    "loading": 7,
    "runner": 8,
    "plugin": 9,
    "cli": 10,
    "suite": 11,
}

LIGHT = (
    "outcomes",
    "registry",
    "targets",
    "results",
    "fit",
    "report",
    "cluster",
    "checks",
    "plugin",
    "cli",
)
HEAVY = ("torch", "transformers", "bitsandbytes", "accelerate", "safetensors", "peft")
EXTRAS = ("playwright", "axe_playwright_python", "ray")
"""What `pip install -e .` does not bring along."""
LONGEST = 320


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path, *, lazy: bool = True) -> Iterator[str]:
    """Names of the modules that a file imports; `lazy`: inside functions too."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if lazy else _at_import(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def inner_imports(path: Path, names: Collection[str]) -> Iterator[str]:
    """The modules of ours that a file imports anywhere: in functions and for types, too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in names:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from members & set(names) or {node.module}
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & set(names)


def _at_import(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _at_import(node)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_below_it(path):
    own = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own in ("__init__", ""):
        return
    for module in imports(path, lazy=False):
        if not module.startswith("compat."):
            continue
        other = room_of(module)
        assert other == own or FLOORS[other] < FLOORS[own], f"{own} imports {module}"


def test_no_module_imports_itself_in_a_circle_not_even_for_a_type():
    names = {name_of(path): path for path in MODULES}
    graph = {name: set(inner_imports(path, names)) - {name} for name, path in names.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_read_at_one_sitting(path):
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("room", LIGHT)
def test_a_light_room_imports_nothing_heavy(room):
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if room_of(".".join(path.relative_to(ROOT).with_suffix("").parts)) == room
    ]
    program = (
        "import sys, importlib\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("tests/**/*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_tests_are_collected_without_extras(path):
    packages = {module.partition(".")[0] for module in imports(path, lazy=False)}
    assert not packages & set(EXTRAS)
