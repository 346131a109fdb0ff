"""The Markdown pages that people used to write by hand, beside `SUPPORTED_MODELS.md`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from compat.report.markdown_architectures import architectures_page
from compat.report.markdown_configuration import configuration_page
from compat.report.markdown_pairs import pairs_page
from compat.report.material import Material
from compat.results.atomic import replace_text

PAGES: Mapping[str, Callable[[Material], str]] = {
    "SUPPORTED_ARCHITECTURES.md": architectures_page,
    "MODEL_CONFIGURATION.md": configuration_page,
    "PAIR_VALIDATION.md": pairs_page,
}
"""File -> what writes its text."""


def write_pages(material: Material, folder: Path) -> tuple[Path, ...]:
    """Write every page to `folder`, each whole or not at all. Raises OSError."""
    for name, page in PAGES.items():
        replace_text(folder / name, page(material))
    return tuple(folder / name for name in PAGES)
