"""A server that is away is waited for, one that refuses is not."""

import logging
from collections.abc import Callable

import httpx
import pytest

from flows import telling

REQUEST = httpx.Request("POST", "http://127.0.0.1:4200/api/artifacts/")
LOG = logging.getLogger("test")


def answering(*errors: httpx.HTTPError) -> tuple[Callable[[], None], list[httpx.HTTPError]]:
    """Return something to tell that fails so often, and the failures still to come."""
    waiting = list(errors)

    def tell() -> None:
        if waiting:
            raise waiting.pop(0)

    return tell, waiting


def status(code: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("", request=REQUEST, response=httpx.Response(code))


def test_a_server_that_is_away_is_told_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "PAUSE", 0.0)
    tell, waiting = answering(httpx.ConnectError("refused"), status(503), httpx.ReadError("cut"))
    telling.patiently(LOG, tell)
    assert waiting == []
    tell, _ = answering(*[httpx.ConnectError("refused")] * 9)
    with pytest.raises(httpx.ConnectError):
        telling.patiently(LOG, tell, patience=-1.0)


def test_a_server_that_refuses_is_not_asked_again() -> None:
    tell, waiting = answering(status(422), httpx.ConnectError("refused"))
    with pytest.raises(httpx.HTTPStatusError):
        telling.patiently(LOG, tell)
    assert len(waiting) == 1
