"""A model's anatomy, ready to be drawn: its parts in running order, with the paths that hooks use.

The parts are those of the model that was built at full size without weights. Their roles, and the
norm before the head, are where a forward of the loaded model was traced. Without a record the
registry alone speaks: how many blocks, of what class, and where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from pydantic import ValidationError

from compat.anatomy.outline import BlockKind, Outline, Part, StackOutline
from compat.registry.spec import BlockFacts, ModelSpec
from compat.report.drawing_view import DrawingView, HookView, KindView, PartView, StackView
from compat.report.evidence import TargetEvidence
from compat.report.text import number, visible
from compat.results.record import CaseRecord

_ROLES = {
    "attention_path": "attention",
    "cross_attention_path": "cross-attention",
    "feed_forward_path": "feed-forward",
}
_SHOWN_PARTS = 12


def drawing_of(spec: ModelSpec, targets: Sequence[TargetEvidence], leading: str) -> DrawingView:
    """The drawing of a model; roles are those that the target `leading` found."""
    built = _case_with(targets, "outline")
    outline = _outline(built)
    traced = _case_with([one for one in targets if one.id == leading], "final_norm")
    found = _paths(traced)
    roles = {found[name]: role for name, role in _ROLES.items() if name in found}
    stacks = (
        tuple(_stack(stack, roles) for stack in outline.stacks)
        if outline
        else tuple(_registered(spec))
    )
    norm = found.get("final_norm", "none")
    return DrawingView(
        embedding=_part(outline.embedding, note=_table_size(spec)) if outline else None,
        stacks=stacks,
        norm=PartView(norm, "") if norm != "none" else None,
        head=_part(outline.head, note=_table_size(spec)) if outline and outline.head else None,
        hooks=tuple(_hooks(spec, outline, found)),
        built=visible(built.execution, 120) if built and outline else "",
        traced=visible(traced.execution, 120) if traced else "",
    )


def _case_with(targets: Iterable[TargetEvidence], measure: str) -> CaseRecord | None:
    cases = (case for target in targets for case in target.cases.values())
    return next((case for case in cases if measure in case.measures), None)


def _outline(case: CaseRecord | None) -> Outline | None:
    if case is None:
        return None
    try:
        return Outline.model_validate_json(str(case.measures["outline"]))
    except ValidationError:  # of a newer suite: the registry speaks instead
        return None


def _paths(case: CaseRecord | None) -> Mapping[str, str]:
    if case is None:
        return {}
    names = ("final_norm", "projection_path", *_ROLES)
    return {name: visible(str(case.measures[name]), 200) for name in names if name in case.measures}


def _table_size(spec: ModelSpec) -> str:
    return f"{number(spec.widths.vocabulary)} x {number(spec.widths.hidden)}"


def _part(part: Part, role: str = "", note: str = "") -> PartView:
    experts = f"{part.experts} experts" if part.experts else ""
    return PartView(visible(part.path, 200), visible(part.module, 80), role, note or experts)


def _stack(stack: StackOutline, roles: Mapping[str, str]) -> StackView:
    kinds = tuple(_kind(kind, roles if stack.role == "decoder" else {}) for kind in stack.kinds)
    if len(kinds) > 1:
        kinds = tuple(
            KindView(kind.count, kind.module, kind.layer_type, _ranges(one.at), kind.parts)
            for kind, one in zip(kinds, stack.kinds, strict=True)
        )
    return StackView(
        role=visible(stack.role, 20),
        path=visible(stack.path, 200),
        count=sum(kind.count for kind in kinds),
        kinds=kinds,
    )


def _kind(kind: BlockKind, roles: Mapping[str, str]) -> KindView:
    return KindView(
        count=len(kind.at),
        module=visible(kind.module, 80),
        layer_type=visible(kind.layer_type.replace("_", " "), 60),
        where="",
        parts=tuple(_part(part, _role(part, roles)) for part in kind.parts[:_SHOWN_PARTS]),
    )


def _role(part: Part, roles: Mapping[str, str]) -> str:
    """What was found in a child of a block, or as the child itself."""
    inside = f"{part.path}."
    found = [role for path, role in roles.items() if f"{path}.".startswith(inside)]
    return ", ".join(found)


def _ranges(indices: Sequence[int]) -> str:
    """`0-4, 6-10` of sorted indices; an even step is said once: `5, 11, ... 29`."""
    steps = {after - before for before, after in pairwise(indices)}
    if len(indices) > 3 and len(steps) == 1 and steps != {1}:
        return f"{indices[0]}, {indices[1]}, … {indices[-1]}"
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _registered(spec: ModelSpec) -> Iterable[StackView]:
    stacks: tuple[tuple[str, BlockFacts | None], ...] = (
        ("vision", spec.vision),
        ("encoder", spec.encoder),
        ("decoder", spec.blocks),
    )
    for role, facts in stacks:
        if facts is not None:
            kind = KindView(facts.count, facts.block_class, "", "", ())
            yield StackView(role, facts.path, facts.count, (kind,))


def _hooks(
    spec: ModelSpec, outline: Outline | None, found: Mapping[str, str]
) -> Iterable[HookView]:
    middle = spec.blocks.count // 2
    yield HookView(
        "what the middle block puts out",
        f'model.get_submodule("{spec.blocks.path}.{middle}").register_forward_hook(\n'
        "    lambda block, arguments, output: captured.append(output))",
        "registry",
    )
    if "projection_path" in found:
        projection = found["projection_path"]
        block = _nearest(middle, outline, projection)
        yield HookView(
            "what the heads of a block put out, side by side, before they are mixed",
            f'model.get_submodule("{spec.blocks.path}.{block}.{projection}")'
            ".register_forward_pre_hook(\n"
            "    lambda projection, arguments: captured.append(arguments[0]))",
            "record",
        )


def _nearest(middle: int, outline: Outline | None, path: str) -> int:
    """The decoder block nearest to the middle that has a part on `path`: not all have attention."""
    having = [
        index
        for stack in (outline.stacks if outline else ())
        if stack.role == "decoder"
        for kind in stack.kinds
        if any(path.startswith(f"{part.path}.") for part in kind.parts)
        for index in kind.at
    ]
    return min(having, key=lambda index: abs(index - middle), default=middle)
