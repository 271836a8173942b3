"""Tell the server how far a run is; a server that is away for a while stops no run."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

PATIENCE = 1800.0  # seconds that a finished run waits for a server to tell
PAUSE = 2.0


class Bar:
    """A progress artifact, in percent; what a server misses it hears with the next update."""

    def __init__(self, log: Any, key: str, description: str) -> None:
        self._log = log
        self._key = key
        self._description = description
        self._id: UUID | None = None
        self.show(0.0)

    def show(self, percent: float) -> None:
        """Show how far the run is, if the server can be reached."""
        try:
            self._show(percent)
        except httpx.HTTPError as error:
            self._log.warning(f"the server did not hear of {percent:.0f} %: {error!r}")

    def finish(self, percent: float) -> None:
        """Show the last value, and wait for a server that is away."""
        patiently(self._log, lambda: self._show(percent))

    def _show(self, percent: float) -> None:
        if self._id is None:
            made = create_progress_artifact(percent, key=self._key, description=self._description)
            self._id = UUID(str(made))
        else:
            update_progress_artifact(self._id, percent)


def publish(log: Any, key: str, markdown: str, description: str) -> None:
    """Publish a page as an artifact, and wait for a server that is away."""
    patiently(log, lambda: create_markdown_artifact(markdown, key=key, description=description))


def patiently(log: Any, tell: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Tell the server something, again and again until it hears or `patience` seconds are over.

    A server that hears and refuses is not asked again.
    """
    end = time.monotonic() + patience
    while True:
        try:
            tell()
        except httpx.HTTPError as error:
            if not _is_away(error) or time.monotonic() > end:
                raise
            log.warning(f"no answer from the server, trying again: {error!r}")
            time.sleep(PAUSE)
        else:
            return


def _is_away(error: httpx.HTTPError) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)
