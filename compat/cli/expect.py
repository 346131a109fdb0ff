"""`compat expect`: the known failures of models.yaml, held against what runs have found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from fnmatch import fnmatchcase
from pathlib import Path

from rich.text import Text

from compat.cli.diff import results_in
from compat.cli.listing import wide_console
from compat.outcomes import Blame
from compat.registry.load import RegistryError, default_registry_path, parse_registry
from compat.registry.spec import KnownFailure, Raises
from compat.registry.write_rows import row_lines, with_rows, without_rows
from compat.results.atomic import replace_text
from compat.results.expectations import Expectations, NewFailure, expectations
from compat.results.visible import visible

AS_IT_SHOULD_BE, DIFFERS = 0, 1
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_SHOWN = 20


@dataclass(frozen=True)
class Said:
    """What a person has to say of a new known failure, and no record can."""

    blame: Blame
    reason: str
    issue: str | None = None


def expect(
    files: Sequence[Path],
    registry_file: Path | None,
    *,
    cases: str = "*",
    said: Said | None = None,
    update: bool = False,
) -> int:
    """Show what would change in the registry, and write it with `update`.

    Rows that nothing shows any more go; for failures of `cases`, a glob over case ids, rows come
    only with what a person has `said`. Returns 1 where the registry is not, or not yet, as the
    records say. Raises RegistryError, SelectionError, OSError.
    """
    path = registry_file or default_registry_path()
    text = path.read_text(encoding="utf-8")
    records = [record for file in files for record in results_in(file)]
    found = _of_cases(expectations(records, parse_registry(text, path.name)), cases)
    changed = without_rows(text, [gone.row.line for gone in found.gone], path.name)
    added, unwritten = _with_new(changed, found.new, said, path.name)
    console = wide_console()
    for line in _difference(text, added, path.name):
        console.print(line, soft_wrap=True)
    for remark in (*unwritten, *_remarks(found, said)):
        console.print(Text(visible(remark)), soft_wrap=True)
    if update and added != text:
        replace_text(path, added)
        console.print(Text(f"{path.name} is written"))
    left = bool(unwritten or found.by_hand or (found.new and said is None))
    return DIFFERS if left or (added != text and not update) else AS_IT_SHOULD_BE


def _of_cases(found: Expectations, cases: str) -> Expectations:
    def chosen(names: Iterable[str]) -> bool:
        return any(fnmatchcase(name, cases) for name in names)

    return replace(
        found,
        gone=tuple(gone for gone in found.gone if chosen(gone.cases)),
        new=tuple(new for new in found.new if chosen(new.cases)),
    )


def _with_new(
    text: str, failures: Iterable[NewFailure], said: Said | None, name: str
) -> tuple[str, list[str]]:
    """The text with rows for new failures, and why some could not be written."""
    unwritten: list[str] = []
    for failure in failures if said is not None else ():
        assert said is not None
        try:
            text = with_rows(text, failure.model, [row_of(failure, said)], name)
        except RegistryError as error:
            unwritten.append(f"{failure.model}: {error}")
    return text, unwritten


def row_of(failure: NewFailure, said: Said) -> KnownFailure:
    """The row that expects a failure from now on."""
    raises = None
    if failure.raises is not None:
        raises = Raises(type=failure.raises[0], match=failure.raises[1])
    return KnownFailure.model_validate(
        {
            **dict(failure.where),
            "outcome": failure.outcome,
            "raises": raises,
            "blame": said.blame,
            "reason": said.reason,
            "issue": said.issue,
        }
    )


def _difference(before: str, after: str, name: str) -> Iterator[Text]:
    lines = unified_diff(
        before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
    )
    for line in lines:
        yield Text(line, style=_COLOURS.get(line[:1], ""))


def _remarks(found: Expectations, said: Said | None) -> Iterator[str]:
    for gone in found.gone:
        yield f"line {gone.row.line}: {gone.row.check} passes in {_count(gone.cases)}: its row goes"
    if found.new and said is None:
        cases = sum(len(new.cases) for new in found.new)
        yield (
            f"{cases} cases fail and no row expects them. Who has to act, and why they fail, is "
            "for a person to say: with --blame and --reason these rows are written, and --cases "
            "chooses among them:"
        )
        for new in found.new[:_SHOWN]:
            yield f"  {new.model}"
            yield from _proposed(new)
        if len(found.new) > _SHOWN:
            yield f"  and {len(found.new) - _SHOWN} more"
    for one in found.by_hand:
        yield f"by hand: {one.what} {one.why}"


def _proposed(failure: NewFailure) -> Iterator[str]:
    """The row as it would be written, less what nobody has said yet."""
    row = row_of(failure, Said(Blame.MODEL, ""))
    for line in row_lines(row, indent=4):
        if not line.lstrip().startswith(("blame:", "reason:")):
            yield line.rstrip("\n")


def _count(cases: Sequence[str]) -> str:
    return "1 case" if len(cases) == 1 else f"{len(cases)} cases"
