"""The anatomy of a model, from what was built and traced, else from the registry."""

from __future__ import annotations

from compat.anatomy.outline import BlockKind, Outline, Part, StackOutline
from compat.report import build_view, render_html
from compat.report.drawing_view import DrawingView
from compat.results.record import CaseRecord
from compat.targets import Device, Mode, Target, Weights
from tests.unit.report.records import (
    CHECKS,
    HOSTILE,
    FakeCheck,
    case_record,
    model_spec,
    registry_of,
    target_of,
)

SPEC = model_spec(
    "acme/jumble-1b", blocks={"count": 8, "class": "Mixed+Plain", "path": "model.layers"}
)
TWIN = target_of(SPEC, Mode.FP32)
FACTS = Target(SPEC.id, SPEC.slug, Weights.CONFIG, Device.CPU, Mode.META)
STRUCTURE = FakeCheck("structure_matches_registry", "structure", "The facts are right.")
MLP = Part(path="mlp", module="MLP", experts=8)
OUTLINE = Outline(
    embedding=Part(path="model.embed", module="Embedding"),
    stacks=(
        StackOutline(
            role="decoder",
            path="model.layers",
            kinds=(
                BlockKind(module="Mixed", layer_type="mamba", at=(0, 1, 2, 4, 5, 6), parts=(MLP,)),
                BlockKind(
                    module="Plain",
                    layer_type="full_attention",
                    at=(3, 7),
                    parts=(Part(path="attn", module="Attention"), MLP),
                ),
            ),
        ),
    ),
    head=None,
)
TRACED = {
    "final_norm": "model.norm",
    "attention_path": "attn",
    "projection_path": "attn.out",
    "feed_forward_path": "mlp",
}


def built(outline: str) -> CaseRecord:
    return case_record(FACTS, STRUCTURE, measures={"outline": outline})


def drawing_of(*cases: CaseRecord) -> DrawingView:
    (model,) = build_view(cases, registry_of(SPEC)).models
    assert model.drawing is not None
    return model.drawing


def both() -> DrawingView:
    traced = case_record(TWIN, CHECKS[0], measures=TRACED)
    return drawing_of(built(OUTLINE.model_dump_json()), traced)


def test_kinds_of_blocks_are_drawn_apart_with_the_places_they_have() -> None:
    (stack,) = both().stacks
    assert (stack.role, stack.path, stack.count) == ("decoder", "model.layers", 8)
    assert [(kind.count, kind.layer_type, kind.where) for kind in stack.kinds] == [
        (6, "mamba", "0-2, 4-6"),
        (2, "full attention", "3, 7"),
    ]


def test_parts_have_the_roles_that_a_forward_showed_and_experts_their_number() -> None:
    attention, mlp = both().stacks[0].kinds[1].parts
    assert (attention.path, attention.role) == ("attn", "attention")
    assert (mlp.role, mlp.note) == ("feed-forward", "8 experts")


def test_a_hook_goes_to_a_block_that_has_what_is_hooked() -> None:
    block, heads = both().hooks
    assert 'get_submodule("model.layers.4").register_forward_hook' in block.code
    assert 'get_submodule("model.layers.3.attn.out").register_forward_pre_hook' in heads.code
    assert (block.source, heads.source) == ("registry", "record")


def test_the_records_behind_the_drawing_are_named() -> None:
    drawing = both()
    assert drawing.built.endswith("structure_matches_registry")
    assert drawing.traced.endswith(CHECKS[0].name)
    assert drawing.norm is not None
    assert drawing.norm.path == "model.norm"
    assert drawing.head is None


def test_without_a_record_the_registry_speaks() -> None:
    drawing = drawing_of()
    (stack,) = drawing.stacks
    assert (stack.path, stack.count, stack.kinds[0].parts) == ("model.layers", 8, ())
    assert (drawing.embedding, drawing.norm, drawing.built) == (None, None, "")


def test_an_outline_of_a_newer_suite_is_left_alone() -> None:
    assert drawing_of(built('{"layers": 3}')).built == ""
    assert drawing_of(built("torn {")).stacks == drawing_of().stacks


def test_names_of_modules_are_shown_and_never_obeyed() -> None:
    for text in HOSTILE:
        part = Part(path=text, module=text)
        kind = BlockKind(module=text, layer_type=text, at=(0,), parts=(part,))
        stack = StackOutline(role=text, path=text, kinds=(kind,))
        outline = Outline(embedding=part, stacks=(stack,), head=part)
        page = render_html(build_view([built(outline.model_dump_json())], registry_of(SPEC)))
        assert "<img" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page
