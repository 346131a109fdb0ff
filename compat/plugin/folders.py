"""What was given on the command line as folders of checkpoints, in the place of names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compat.targets.selection import SelectionError

if TYPE_CHECKING:
    from compat.plugin.options import Options
    from compat.registry.pair import Entry, PairSpec
    from compat.registry.spec import ModelSpec, Registry


@dataclass(frozen=True)
class GivenFolders:
    """Models and pairs, described by the configs of their folders."""

    models: tuple[ModelSpec, ...]
    """Those of --compat-model."""
    pairs: tuple[PairSpec, ...]
    """Those of --compat-pair."""
    paths: dict[str, Path]
    """Model id -> folder, for the models of pairs too."""

    @classmethod
    def of(cls, options: Options) -> GivenFolders:
        """Read the folders. Raises SelectionError for one that is no checkpoint, or two namesakes.

        Nothing of a checkpoint is executed.
        """
        from compat.registry.pair import PairSpec

        paths: dict[str, Path] = {}

        def described(folder: Path, option: str) -> ModelSpec:
            spec = _described(folder, option)
            if paths.setdefault(spec.id, folder) != folder:
                raise SelectionError(f"two folders are called {folder.name!r}: rename one of them")
            return spec

        models = tuple(described(folder, "--compat-model") for folder in options.folders)
        pairs = tuple(
            PairSpec(described(source, "--compat-pair"), described(target, "--compat-pair"))
            for source, target in options.folder_pairs
        )
        return cls(models, pairs, paths)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Models, then pairs."""
        return (*self.models, *self.pairs)

    @property
    def ids(self) -> frozenset[str]:
        """What was given, and not the single models of a pair."""
        return frozenset((*(spec.id for spec in self.models), *(pair.id for pair in self.pairs)))

    def added_to(
        self, registry: Registry, pairs: Iterable[PairSpec], others: Iterable[ModelSpec] = ()
    ) -> Registry:
        """`registry` with these models and pairs, with `others`, and with `pairs` that it lacks."""
        ends = (spec for pair in self.pairs for spec in pair.models)
        models = {spec.id: spec for spec in (*registry.models, *self.models, *ends, *others)}
        rows = {row.id: row for row in registry.pairs}
        for pair in (*pairs, *self.pairs):
            rows.setdefault(pair.id, pair.row)
        update = {"models": tuple(models.values()), "pairs": tuple(rows.values())}
        return registry.model_copy(update=update)


def _described(folder: Path, option: str) -> ModelSpec:
    from compat.weights.local import NotACheckpointError, local_spec

    try:
        return local_spec(folder)
    except NotACheckpointError as error:
        raise SelectionError(f"{option}: {error}") from error
