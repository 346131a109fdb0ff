"""The view as one HTML file: no request, readable without scripts, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from compat.outcomes import Outcome, ReasonClass
from compat.report.marks import outcome_word
from compat.report.text import duration, is_link
from compat.report.view import ReportView, column_of
from compat.results.atomic import replace_text
from compat.results.verdict import Word
from compat.results.visible import visible
from compat.targets import Weights

STYLES = ("page.css", "matrix.css", "model.css", "sections.css", "media.css")
EARLY = ("theme.js",)
SCRIPTS = ("address.js", "filter.js", "results.js", "sheet.js", "matrix.js", "page.js")
"""In the order in which they are joined: each uses only what stands before it."""


def write_html(view: ReportView, path: Path) -> None:
    """Write the page to `path`, whole or not at all."""
    replace_text(path, visible(render_html(view)))


def render_html(view: ReportView) -> str:
    """The page as text."""
    environment = _environment()
    return environment.get_template("page.html").render(
        view=view,
        asserts={name: summary for area in view.glossary for name, summary in area.checks},
        style=_joined(environment, STYLES),
        early=_joined(environment, EARLY),
        script=_joined(environment, SCRIPTS),
        weights=[weights for weights in Weights if weights is not Weights.CONFIG],
        verdicts=[str(word) for word in Word],
        outcomes=[(outcome_word(outcome)[0], str(outcome)) for outcome in Outcome],
        reason_classes=list(ReasonClass),
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
    environment.filters["mode_label"] = column_of
    environment.filters["hashed"] = _hashed
    environment.filters["base64"] = _base64
    environment.tests["link"] = is_link
    return environment


def _joined(environment: Environment, names: tuple[str, ...]) -> Markup:
    """Files of ours, one after the other: nothing else goes into the page unescaped."""
    loader = environment.loader
    assert loader is not None
    return Markup("\n").join(Markup(loader.get_source(environment, name)[0]) for name in names)


def _hashed(text: str) -> str:
    """The source expression by which a content security policy admits exactly this text."""
    return f"sha256-{_base64(hashlib.sha256(text.encode('utf-8')).digest())}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
