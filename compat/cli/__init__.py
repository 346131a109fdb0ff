"""`compat`: what is no test. `compat --help` lists it; to test models, run `pytest`."""

from __future__ import annotations

from compat.cli.app import main

__all__ = ["main"]
