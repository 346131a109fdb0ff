"""Models that do not read embeddings as they read ids, or that no gradient gets through."""

from __future__ import annotations

from typing import Any

import torch

from tests.sick.sickness import GEMMA_WITH_VISION, GPT2, sick
from tests.sick.surgery import Change, around_forward, change_hidden, change_logits

EQUAL = "embeds_equal_ids"
IMAGE = "embeds_equal_ids_beside_an_image"
GENERATE = "embeds_generate_as_ids"
GRADIENT = "gradient_reaches_soft_prompt"
LEARNS = "soft_prompt_learns"
BATCH = "soft_prompt_in_a_batch_equals_single"


def _given_embeds(subject: Any, change: Any) -> None:
    """Let `change` replace arguments of the model's forward where it is given embeddings."""

    def around(inner: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("inputs_embeds") is not None:
            kwargs |= change(kwargs)
        return inner(*args, **kwargs)

    around_forward(subject.model, around)


def _change_embeds(subject: Any, change: Change) -> None:
    _given_embeds(subject, lambda given: {"inputs_embeds": change(given["inputs_embeds"])})


def _change_gradient(subject: Any, change: Change) -> None:
    """Change the gradient on its way back through the final norm."""

    def watch(hidden: torch.Tensor) -> torch.Tensor:
        if hidden.requires_grad:
            hidden.register_hook(change)
        return hidden

    change_hidden(subject.anatomy.final_norm, watch)


@sick(EQUAL, says=r"the text: \d+ of \d+ logits differ")
def embeds_scaled_once_more(subject: Any) -> None:
    """The embedding's scale is applied to what is given as embeddings too."""
    _change_embeds(subject, lambda embeds: embeds * 8)


@sick(EQUAL, says=r"a padded batch: \d+ of \d+ logits differ", model=GPT2)
@sick(BATCH, says=r"row \d: differs", model=GPT2)
def positions_of_embeds_from_the_left(subject: Any) -> None:
    """For embeddings positions are counted from the left end of the row, its padding too."""

    def count(given: Any) -> dict[str, Any]:
        return {"position_ids": torch.arange(given["inputs_embeds"].shape[1])[None]}

    _given_embeds(subject, count)


@sick(EQUAL, says="without mask and positions: logits: differs", model=GPT2)
def positions_of_embeds_off_by_one(subject: Any) -> None:
    """Where positions are not given, those of embeddings begin at one."""

    def late(given: Any) -> dict[str, Any]:
        if given.get("position_ids") is not None:
            return {}
        return {"position_ids": 1 + torch.arange(given["inputs_embeds"].shape[1])[None]}

    _given_embeds(subject, late)


@sick(IMAGE, says=r"an image and a text: \d+ of \d+ logits differ", model=GEMMA_WITH_VISION)
def image_lost_beside_embeds(subject: Any) -> None:
    """Where embeddings are given, the image's features are not put into them."""
    _given_embeds(subject, lambda given: {"pixel_values": None})


def _change_generate(subject: Any, change: Any) -> None:
    """Let `change` write into the arguments of `generate` where it is given embeddings."""
    inner = subject.model.generate

    def generate(**kwargs: Any) -> Any:
        if "inputs_embeds" in kwargs:
            change(kwargs)
        return inner(**kwargs)

    subject.model.generate = generate


@sick(GENERATE, says="ids are continued by .*, their embeddings by")
def rows_of_embeds_reversed(subject: Any) -> None:
    """`generate` sorts embedded rows by length and does not put them back."""

    def reverse(given: dict[str, Any]) -> None:
        for name in ("inputs_embeds", "attention_mask"):
            given[name] = given[name].flip(0)

    _change_generate(subject, reverse)


@sick(GENERATE, says="the same tokens, and .* logits that differ", model=GPT2)
def mask_lost_beside_embeds(subject: Any) -> None:
    """`generate` drops the mask that is given beside embeddings: padding is read as text."""
    _change_generate(subject, lambda given: given.pop("attention_mask"))


@sick(GENERATE, says="the same tokens, and .* logits that differ")
def embeds_rounded_for_generation(subject: Any) -> None:
    """`generate` takes embeddings in half precision."""

    def round_off(given: dict[str, Any]) -> None:
        given["inputs_embeds"] = given["inputs_embeds"].half().float()

    _change_generate(subject, round_off)


@sick(GRADIENT, says="the loss has no gradient: the soft prompt is cut off from the loss")
def embeds_detached(subject: Any) -> None:
    """What is given as embeddings is copied into a buffer of the model's own."""
    _change_embeds(subject, lambda embeds: embeds.detach())


@sick(GRADIENT, says="the gradient does not come so far: the soft prompt is cut off")
def embeds_detached_beside_a_bias(subject: Any) -> None:
    """The gradient ends at a bias that a wrapper trains, and embeddings are detached."""
    bias = torch.zeros((), requires_grad=True)
    change_logits(subject.model, lambda logits: logits + bias)
    _change_embeds(subject, lambda embeds: embeds.detach())


@sick(GRADIENT, says="1 frozen weights have a gradient: model.norm.weight")
def norm_thaws_by_itself(subject: Any) -> None:
    """A wrapper makes the final norm trainable at every forward, frozen or not."""
    norm = subject.anatomy.final_norm

    def thaw(inner: Any, *args: Any, **kwargs: Any) -> Any:
        norm.weight.requires_grad_(True)
        return inner(*args, **kwargs)

    around_forward(norm, thaw)


@sick(GRADIENT, says="the gradient holds NaN or infinity")
def gradient_of_nan(subject: Any) -> None:
    """A kernel's backward divides by zero."""
    _change_gradient(subject, lambda gradient: gradient / 0)


@sick(GRADIENT, says="1 of 4 vectors have no gradient", spares={"embeds_equal_ids"})
def first_vector_detached(subject: Any) -> None:
    """The first position is taken for a token that begins the text, and detached."""
    _change_embeds(
        subject, lambda embeds: torch.cat([embeds[:, :1].detach(), embeds[:, 1:]], dim=1)
    )


@sick(
    GRADIENT,
    says="along the gradient the loss rises by .* the gradient says",
    model=GPT2,
    spares={"embeds_equal_ids"},
)
def gradient_halved(subject: Any) -> None:
    """A kernel's backward leaves out one of two paths."""
    _change_gradient(subject, lambda gradient: gradient / 2)


@sick(LEARNS, says="10 steps take the loss from")
def gradient_of_the_wrong_sign(subject: Any) -> None:
    """A kernel's backward gives the gradient with the wrong sign."""
    _change_gradient(subject, lambda gradient: -gradient)


@sick(BATCH, says="row 0: a soft prompt changes no logit")
def soft_prompt_taken_for_padding(subject: Any) -> None:
    """The mask is made from ids that are not there: the soft prompt is masked as padding."""

    def hide(given: Any) -> dict[str, Any]:
        mask = given["attention_mask"]
        return {"attention_mask": mask * (mask.cumsum(-1) > 4)}

    _given_embeds(subject, hide)
