"""Tokenizers that do not fit their model."""

from __future__ import annotations

import html
from typing import Any

from compat.targets import Weights
from tests.sick.sickness import GPT2, LLAMA_CHAT, sick
from tests.sick.surgery import around_forward, around_method


@sick("special_tokens_present", says="has no end-of-text token")
def no_end_of_text(subject: Any) -> None:
    """The tokenizer config names no end-of-text token."""
    subject.tokenizer.eos_token = None


@sick("special_tokens_present", says="the special token .* is cut into")
def end_of_text_cut_into_pieces(subject: Any) -> None:
    """The end-of-text token is in the vocabulary and not known as special: text that holds it is
    cut into letters.
    """
    end = subject.tokenizer.eos_token

    def spell(inner: Any, text: str, *args: Any, **kwargs: Any) -> Any:
        return inner("/".join(text) if text == end else text, *args, **kwargs)

    around_method(subject.tokenizer, "__call__", spell)


@sick(
    "token_ids_inside_embedding",
    says=r"\d+ ids outside the 512 rows",
    spares={"special_tokens_present"},
)
def token_added_without_resizing(subject: Any) -> None:
    """Tokens were added to the tokenizer and the embedding was not resized."""
    subject.tokenizer.add_tokens([f"<extra_{number}>" for number in range(512)])


@sick(
    "token_ids_inside_embedding",
    says=r"1 ids outside the 512 rows: \[\('<pad>', -1\)\]",
    shows_in={"persistence"},
)
def padding_id_below_zero(subject: Any) -> None:
    """Padding has the id -1, as some configs write where there is none."""
    subject.tokenizer.__class__ = type(
        "TokenizerWithNegativePadding",
        (type(subject.tokenizer),),
        {
            "all_special_tokens": property(lambda _self: ["<pad>"]),
            "all_special_ids": property(lambda _self: [-1]),
        },
    )


@sick(
    "unaccepted_keys_filtered",
    says=r"gives no input_ids but \['attention_mask', 'tokens'\]",
    shows_in={
        "anatomy",
        "persistence",
        "forward",
        "generation",
        "hooks",
        "gates",
        "calibration",
        "embeds",
        "attention",
        "memory",
    },
)
def ids_under_another_name(subject: Any) -> None:
    """The tokenizer hands out its ids as `tokens`."""

    def rename(inner: Any, *args: Any, **kwargs: Any) -> Any:
        given = inner(*args, **kwargs)
        return {"tokens" if name == "input_ids" else name: ids for name, ids in given.items()}

    around_method(subject.tokenizer, "__call__", rename)


@sick("unaccepted_keys_filtered", says="the model does not accept input_ids")
def forward_spells_nothing_out(subject: Any) -> None:
    """A compiled model takes keywords only and does not say which: everything is filtered out."""
    subject.forward_arguments = frozenset({"kwargs"})


def _give_token_types(subject: Any) -> None:
    def with_types(inner: Any, *args: Any, **kwargs: Any) -> Any:
        given = inner(*args, **kwargs)
        return {**given, "token_type_ids": [0] * len(given["input_ids"])}

    around_method(subject.tokenizer, "__call__", with_types)


@sick("unaccepted_keys_filtered", says="logits are not finite", model=GPT2)
def token_types_break_the_logits(subject: Any) -> None:
    """The model accepts token types, and its logits are NaN once it is given any."""

    def spoil(inner: Any, *args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        if kwargs.get("token_type_ids") is not None:
            output.logits = output.logits * float("nan")
        return output

    _give_token_types(subject)
    around_forward(subject.model, spoil)


@sick("unaccepted_keys_filtered", says="TypeError: .*token_type_ids")
def everything_handed_on(subject: Any) -> None:
    """A wrapper hands on to the model whatever the tokenizer gives, token types too."""

    def refuse(inner: Any, *args: Any, **kwargs: Any) -> Any:
        if "token_type_ids" in kwargs:
            raise TypeError("forward() got an unexpected keyword argument 'token_type_ids'")
        return inner(*args, **kwargs)

    _give_token_types(subject)
    around_forward(subject.model, refuse)
    subject.accepted_arguments = dict


@sick(
    "pads_on_both_sides",
    says="padding on the left changes the tokens",
    spares={"special_tokens_present"},
)
def padding_not_masked(subject: Any) -> None:
    """The attention mask of padding is one."""

    def unmask(inner: Any, *args: Any, **kwargs: Any) -> Any:
        given = dict(inner(*args, **kwargs))
        if kwargs.get("padding"):
            given["attention_mask"] = [[1] * len(mask) for mask in given["attention_mask"]]
        return given

    around_method(subject.tokenizer, "__call__", unmask)


@sick("pads_on_both_sides", says="padding on the left is masked as")
def always_pads_on_the_right(subject: Any) -> None:
    """The side that padding is asked for is ignored."""

    def on_the_right(inner: Any, *args: Any, **kwargs: Any) -> Any:
        if "padding_side" in kwargs:
            kwargs["padding_side"] = "right"
        return inner(*args, **kwargs)

    around_method(subject.tokenizer, "__call__", on_the_right)


def _template(subject: Any, turn: str, opening: str) -> None:
    subject.tokenizer.chat_template = (
        "{% for message in messages %}" + turn + "{% endfor %}"
        "{% if add_generation_prompt %}" + opening + "{% endif %}"
    )


@sick("chat_template_renders", says="does not hold the question", model=LLAMA_CHAT)
def template_drops_the_text(subject: Any) -> None:
    """The chat template renders the roles and forgets what was said."""
    _template(subject, "<|{{ message.role }}|>\n", "<|assistant|>\n")


@sick("chat_template_renders", says="changes what was before it", model=LLAMA_CHAT)
def generation_prompt_rewrites_the_past(subject: Any) -> None:
    """With a generation prompt the template renders the turns before it otherwise."""
    _template(
        subject,
        "{% if add_generation_prompt %}user{% else %}<|user|>{% endif %}\n{{ message.content }}\n",
        "<|assistant|>\n",
    )


@sick("chat_template_renders", says="takes something away", model=LLAMA_CHAT)
def generation_prompt_takes_the_line_break(subject: Any) -> None:
    """With a generation prompt the template drops the line break that ends the user's turn."""
    _template(
        subject,
        "<|user|>\n{{ message.content }}{% if not add_generation_prompt %}{{ '\n\n' }}{% endif %}",
        "{{ '\n' }}",
    )


@sick("text_round_trips", says="'.*' comes back as", weights=Weights.LOCAL)
def long_words_lost(subject: Any) -> None:
    """A word of more than eight letters comes back as the unknown token."""

    def forget(inner: Any, *args: Any, **kwargs: Any) -> Any:
        words = inner(*args, **kwargs).split(" ")
        return " ".join("<unk>" if len(word) > 8 else word for word in words)

    around_method(subject.tokenizer, "decode", forget)


@sick("text_round_trips", says="'a a' comes back as 'aa'")
def spaces_lost_between_words(subject: Any) -> None:
    """Words are decoded one by one and put together without what was between them."""
    around_method(
        subject.tokenizer,
        "decode",
        lambda inner, *args, **kwargs: "".join(inner(*args, **kwargs).split()),
    )


@sick("text_round_trips", says="comes back as '.*&.*'", weights=Weights.LOCAL)
def decoding_escapes_html(subject: Any) -> None:
    """Decoding escapes for HTML, so that every round through the tokenizer escapes once more."""
    around_method(
        subject.tokenizer,
        "decode",
        lambda inner, *args, **kwargs: html.escape(inner(*args, **kwargs)),
    )


@sick("chat_template_renders", says="UndefinedError|TemplateError", model=LLAMA_CHAT)
def template_raises(subject: Any) -> None:
    """The template asks for a system turn and raises where there is none."""
    _template(subject, "{{ raise_exception('a system turn must come first') }}", "")
