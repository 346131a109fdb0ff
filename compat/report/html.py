"""The view as one HTML file: no request, readable without scripts, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from compat.report.text import duration, is_link
from compat.report.view import ReportView
from compat.results.atomic import replace_text


def write_html(view: ReportView, path: Path) -> None:
    """Write the page to `path`, whole or not at all."""
    replace_text(path, render_html(view))


def render_html(view: ReportView) -> str:
    """The page as text."""
    environment = _environment()
    loader = environment.loader
    assert loader is not None
    style = loader.get_source(environment, "page.css")[0]
    script = loader.get_source(environment, "page.js")[0]
    return environment.get_template("page.html").render(
        view=view,
        # Only these two files of ours go in unescaped.
        style=Markup(style),
        script=Markup(script),
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("compat.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters["duration"] = duration
    environment.tests["link"] = is_link
    return environment


def _hash(text: str) -> str:
    """The source expression by which a content security policy admits exactly this text."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
