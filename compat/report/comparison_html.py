"""What changed, as an HTML page of its own: one file, no request, no script."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from compat.report.comparison import ComparisonView


def comparison_html(view: ComparisonView) -> str:
    """The page as text; everything in it is escaped."""
    environment = Environment(
        loader=PackageLoader("compat.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("comparison.html").render(view=view)
