"""Persistence: what is saved and loaded again is the same model, in files that run no code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from compat.subject import Subject


@check(Area.PERSISTENCE, memory="second_copy", loads=1)
def saved_as_safetensors_only(subject: Subject) -> None:
    """Saving writes the weights as safetensors, and no file that is a pickle."""
    files = subject.reloaded.files
    subject.measure("saved_bytes", sum(file.size for file in files))
    pickled = [file.name for file in files if file.pickled]
    assert not pickled, f"saving wrote pickles: {', '.join(pickled)}"
    assert subject.reloaded.weight_files, (
        f"saving wrote no safetensors: {', '.join(file.name for file in files)}"
    )


@check(Area.PERSISTENCE, memory="second_copy", loads=1)
def reload_gives_the_same_logits(subject: Subject) -> None:
    """A model that is saved and loaded again gives bit for bit the same logits."""
    before, after = subject.logits(subject.text.inputs)[0], subject.reloaded.logits
    assert after.shape == before.shape, (
        f"logits of shape {tuple(before.shape)} are {tuple(after.shape)} after the reload"
    )
    different = ~(before == after)  # NaN equals nothing, itself included
    assert not different.any(), (
        f"{int(different.sum())} of {before.numel()} logits differ after the reload, "
        f"by up to {float((before - after).abs().max()):.3g}"
    )


@check(Area.PERSISTENCE, memory="second_copy", loads=1)
def tokenizer_survives_saving(subject: Subject) -> None:
    """The tokenizer that is loaded again cuts text and marks it as it did before."""
    from compat.subject.saved import differing, tokenizer_settings

    before, after = subject.text.inputs.ids[0].tolist(), subject.reloaded.tokens
    assert before == after, f"the text is {len(before)} tokens, and others after the reload"
    lost = differing(tokenizer_settings(subject.tokenizer), subject.reloaded.tokenizer)
    assert not lost, f"not the same after the reload: {', '.join(lost)}"


@check(Area.PERSISTENCE, memory="second_copy", loads=1)
def configs_survive_saving(subject: Subject) -> None:
    """Config and generation config are the same after saving and loading."""
    from compat.subject.saved import config_settings, differing

    model, after = subject.model, subject.reloaded
    lost = differing(config_settings(model.config), after.config)
    assert not lost, f"config is not the same after the reload: {', '.join(lost)}"
    lost = differing(config_settings(model.generation_config), after.generation_config)
    assert not lost, f"generation config is not the same after the reload: {', '.join(lost)}"
