"""Bodies of forms: whole, small, and soon enough, or no form."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.requests import Request

from server.http.portal import forms
from server.http.portal.forms import BadForm, form_of

URLENCODED = (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")


def posted(
    pieces: Sequence[bytes],
    *,
    pace_s: float = 0.0,
    headers: Sequence[tuple[bytes, bytes]] = (),
    taken: list[bytes] | None = None,
) -> Request:
    """A request whose body comes in these pieces; ``taken`` gets those that were read."""
    rest = list(pieces)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pace_s)  # the client's own pace
        piece = rest.pop(0)
        if taken is not None:
            taken.append(piece)
        return {"type": "http.request", "body": piece, "more_body": bool(rest)}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/sign-in",
        "headers": [URLENCODED, (b"transfer-encoding", b"chunked"), *headers],
    }
    return Request(scope, receive)


def test_a_form_comes_in_pieces() -> None:
    """As it was cut on the way."""
    assert asyncio.run(form_of(posted([b"na", b"me=lola&", b"empty="]))) == {"name": "lola", "empty": ""}


def test_a_form_that_drips_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though a byte comes now and then: connections are counted, and strangers may post."""
    monkeypatch.setattr(forms, "WHOLE_S", 0.1)

    with pytest.raises(BadForm, match="did not come whole"):
        asyncio.run(form_of(posted([b"x"] * 1000, pace_s=0.01)))


@pytest.mark.parametrize(
    "body", [b"a=1&a=2", b"&".join(b"f%d=" % number for number in range(60)), b"a=%ff", b"x" * 2000], ids=range(4)
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    """A field twice, too many fields, no UTF-8, too long."""
    with pytest.raises(BadForm):
        asyncio.run(form_of(posted([body]), limit=1000))


def test_of_a_form_that_is_too_large_the_rest_is_read() -> None:
    """Whoever still sends when the connection is closed may lose the answer; but not without an end."""
    whole: list[bytes] = []
    endless: list[bytes] = []
    piece = b"x" * 100_000

    for pieces, taken in (([piece] * 30, whole), ([piece] * 1000, endless)):
        with pytest.raises(BadForm, match="too large"):
            asyncio.run(form_of(posted(pieces, taken=taken)))

    assert len(whole) == 30
    assert forms.MAX_LEFT <= sum(map(len, endless)) <= forms.MAX_LEFT + 2 * len(piece)


def test_who_waits_to_be_asked_for_a_form_that_is_too_large_is_not_asked() -> None:
    """``Expect: 100-continue``: a read would ask for it."""
    taken: list[bytes] = []
    sized = [(b"content-length", b"3000000"), (b"expect", b"100-continue")]
    request = posted([b"x"], headers=sized, taken=taken)
    request.scope["headers"] = [one for one in request.scope["headers"] if one[0] != b"transfer-encoding"]

    with pytest.raises(BadForm, match="too large"):
        asyncio.run(form_of(request))

    assert taken == []
