"""What a worker of a Ray cluster does: pytest over one job, its records handed on as they come.

Ray itself is not needed here: `run_job` is a plain generator.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from compat.cluster.plan import Job, Plan, write_plan
from compat.cluster.shard import command

LARGEST = 64 * 1024
"""Bytes of a piece. Ray sends up to 100 KiB to the driver at once; what is more stays in the memory
of the node, and dies with it."""
POLL_SECONDS = 0.2
GRACE_SECONDS = 10.0
"""That pytest has to come to an end by itself."""


@dataclass(frozen=True)
class Task:
    """One job, with everything that the worker has to know."""

    plan: Plan
    index: int
    folder: str
    """Where to run, the same on every node: it holds the registry and the conftest."""
    arguments: tuple[str, ...] = ()
    """Of pytest."""
    earlier: Mapping[str, bytes] = field(default_factory=dict)
    """Records of an attempt that was cut short, by file: what they settle is not run again."""

    @classmethod
    def of(cls, plan: Plan, job: Job, folder: Path, arguments: Sequence[str]) -> Task:
        """A job of a plan; of the plan only what is about this job travels."""
        own = plan.model_copy(update={"jobs": (job,), "unplaced": ()})
        return cls(own, job.index, str(folder), tuple(arguments))


@dataclass(frozen=True)
class Piece:
    """What was appended to a file of records."""

    file: str
    """`RUN/WORKER.jsonl`."""
    content: bytes


@dataclass(frozen=True)
class Ended:
    """That pytest has ended: its exit status, negative for the signal that killed it."""

    status: int


class Tail:
    """Reads what is appended to the files of records below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}

    def pieces(self) -> Iterator[Piece]:
        """What has been appended since the last time."""
        for path in sorted(self._folder.rglob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                while content := file.read(LARGEST):
                    self._read[path] = file.tell()
                    yield Piece(path.relative_to(self._folder).as_posix(), content)


def run_job(task: Task) -> Iterator[Piece | Ended]:
    """Run pytest over a job; yield its records while they are written, then how it ended.

    Raises NotADirectoryError where the node has not got the task's folder.
    """
    if not Path(task.folder).is_dir():
        raise NotADirectoryError(
            f"a node has no folder {task.folder}: share it among the nodes, or check it out there"
        )
    with TemporaryDirectory(prefix="compat-job-") as name:
        scratch = Path(name)
        tail = Tail(scratch / "records")
        with _running(_command(task, scratch), task.folder) as process:
            while process.poll() is None:
                yield from tail.pieces()
                time.sleep(POLL_SECONDS)
        yield from tail.pieces()
        yield Ended(process.returncode)


def _command(task: Task, scratch: Path) -> list[str]:
    plan_file = scratch / "plan.json"
    write_plan(task.plan, plan_file)
    arguments = [*task.arguments, f"--compat-records={scratch / 'records'}"]
    for file, content in task.earlier.items():
        path = scratch / "earlier" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if task.earlier:
        arguments.append(f"--compat-resume={scratch / 'earlier'}")
    return command(plan_file, task.plan, task.plan.job(task.index), arguments)


@contextmanager
def _running(line: Sequence[str], folder: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the block, nor this process."""
    tied = [sys.executable, "-m", "compat.cluster.tied", str(os.getpid())]
    process = subprocess.Popen([*tied, *line], cwd=folder)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
