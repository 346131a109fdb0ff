"""One line a target as it completes, in the place of a dot a case; and the summary at the end."""

from __future__ import annotations

import pytest


class Progress:
    """Placeholder."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
