"""How long a hub that limits requests is waited for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

TOO_MANY_REQUESTS = 429


class Patience:
    """Hears every answer; of a refusal that asks for too long a wait it makes an error."""

    SECONDS: ClassVar[float] = 10.0
    """From the first refusal to the end of the last wait that is waited."""

    def __init__(self) -> None:
        self._since: float | None = None
        """When refusals began, where none of the answers since was another."""

    def hear(self, response: Any) -> None:
        """Raise HfHubHTTPError where waiting as asked would take until after patience ends."""
        from huggingface_hub.utils import hf_raise_for_status

        if response.status_code != TOO_MANY_REQUESTS:
            self._since = None
            return
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if now + _asked_wait(response) > self._since + self.SECONDS:
            hf_raise_for_status(response)


@contextmanager
def limited_patience() -> Iterator[None]:
    """Inside, huggingface_hub waits no longer than `Patience.SECONDS` for a hub that answers 429.

    By itself it sleeps as long as the hub asks for, five times over: for minutes, without a word.
    A short wait is still waited.
    """
    from huggingface_hub.utils import get_session

    session = get_session()
    before = session.event_hooks
    hear = Patience().hear
    session.event_hooks = {**before, "response": [*before.get("response", []), hear]}
    try:
        yield
    finally:
        session.event_hooks = before


def _asked_wait(response: Any) -> float:
    """Seconds that a refusal asks to wait: in `Retry-After`, or in the hub's own `ratelimit`."""
    from huggingface_hub.utils import parse_ratelimit_headers

    limits = parse_ratelimit_headers(response.headers)
    if limits is not None and limits.remaining == 0:
        return float(limits.reset_in_seconds)
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0.0
