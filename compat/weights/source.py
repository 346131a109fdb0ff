"""Finding a target's checkpoint folder: a twin, the hub's, or a folder that was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.targets import Checkpoint, Target, Weights
from compat.weights.consent import (
    REMOTE_CODE,
    Policy,
    consent_of_owner,
    files_hashed,
    refuse_code_elsewhere,
)
from compat.weights.folder import has_tokenizer, judge_weights, read_shape
from compat.weights.hub import Hub, Wanted
from compat.weights.sound import refuse_outsiders, refuse_unsound


def find_checkpoint(
    target: Target,
    spec: ModelSpec,
    *,
    twin_cache: Path | None = None,
    local: Mapping[str, Path] | None = None,
    hub: Hub | None = None,
    policy: Policy | None = None,
    announce: Callable[[str], None] | None = None,
) -> Checkpoint:
    """Find the folder to load `target` from.

    A twin that does not exist yet is taught; a checkpoint of the hub is downloaded where `hub` has
    consent to, and without a `hub` only looked for in the cache. `local` has the folders of local
    weights by the model's name. Raises CannotRun where there is no folder to load from.
    """
    match target.weights:
        case Weights.TWIN:
            from compat.weights.twin import twin_checkpoint

            return twin_checkpoint(spec, cache=twin_cache, announce=announce)
        case Weights.HUB:
            found = (hub or Hub()).snapshot(Wanted.of(spec))
            shape = read_shape(found.folder)
            return Checkpoint(
                found.folder, Weights.HUB, shape, revision=found.commit, notes=found.notes
            )
        case Weights.LOCAL:
            folder = local_folder(target, spec, local or {}, policy or Policy())
            return Checkpoint(folder, Weights.LOCAL, read_shape(folder))
        case Weights.CONFIG:
            raise ValueError(f"{target.id} has no checkpoint: its model is built from the config")


def local_folder(
    target: Target, spec: ModelSpec, local: Mapping[str, Path], policy: Policy
) -> Path:
    """Check the folder that was given for local weights. Imports no torch.

    Raises CannotRun: no folder, no checkpoint in it, files missing, or code or pickled weights
    that this run does not allow; UnsoundCheckpointError for what nobody means well by.
    """
    folder = local.get(target.model)
    if folder is None or not folder.is_dir():
        raise CannotRun(
            Reason(
                ReasonCode.NOT_FOUND,
                f"there is no folder for {target.model}",
                "give an existing checkpoint folder: --compat-model FOLDER",
            )
        )

    def lacking(what: str) -> Reason:
        return Reason(
            ReasonCode.NOT_FOUND,
            f"{folder.name} is no complete checkpoint: {what}",
            "give the folder that save_pretrained or `hf download` wrote",
        )

    if not (folder / "config.json").is_file():
        raise CannotRun(lacking("config.json is missing"))
    refuse_outsiders(folder)
    refuse_unsound(folder)
    if not spec.native:
        consent = consent_of_owner(policy.allow_remote_code)
        if not consent.given:
            raise CannotRun(consent.refusal(REMOTE_CODE, files_hashed(sorted(folder.glob("*.py")))))
        refuse_code_elsewhere(folder)
    judge_weights(folder, consent_of_owner(policy.allow_pickle), lacking)
    if not has_tokenizer(folder):
        raise CannotRun(
            Reason(
                ReasonCode.NOT_FOUND,
                f"{folder.name} is no complete checkpoint: it holds no tokenizer",
                "save the tokenizer into the folder, too: "
                "`AutoTokenizer.from_pretrained(BASE_MODEL).save_pretrained(FOLDER)`",
            )
        )
    return folder
