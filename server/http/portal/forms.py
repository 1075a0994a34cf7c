"""Forms that browsers post: small, urlencoded, and from our own pages unless said otherwise."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import parse_qsl

from starlette.requests import Request

from server.http.body import DISCARDED_BLOCK, Body, BodyError, BodyTooLarge, MalformedLength, declared_length

MAX_FORM = 512 * 1024
MAX_FIELDS = 50
IDLE_S = 15.0
WHOLE_S = 30.0
"""Whoever sends a form byte by byte holds a connection, which are counted; none needs longer than this."""
MAX_LEFT = 8 * 1024 * 1024
LEFT_S = 5.0
"""Of a form that is too large so much is still read, for so long: whoever is cut off while sending hears no answer."""


class BadForm(Exception):
    """The body is no form of this size; the text says why."""


async def form_of(request: Request, limit: int = MAX_FORM) -> dict[str, str]:
    """Read the fields of a form of so many bytes at most. Raises BadForm, also for a field that comes twice."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadForm("The form must be sent as application/x-www-form-urlencoded.")
    try:
        body = Body(request.receive, declared=declared_length(request.headers.raw), idle_timeout_s=IDLE_S)
        try:
            async with asyncio.timeout(WHOLE_S):
                text = await body.whole(limit)
        except BodyTooLarge:
            if "expect" not in request.headers:  # who waits for "100 Continue" has sent nothing yet
                await _read_on(body)
            raise
    except (BodyError, MalformedLength, TimeoutError):
        raise BadForm("The form is too large, or did not come whole.") from None
    return fields_of(text.decode("ascii", "replace"))


async def _read_on(body: Body) -> None:
    """Read what is left: a connection closed with data unread is reset, and the answer lost (RFC 9112 section 9.6)."""
    with suppress(BodyError, TimeoutError):
        async with asyncio.timeout(LEFT_S):
            while body.received < MAX_LEFT and await body.block(DISCARDED_BLOCK):
                pass


def fields_of(text: str) -> dict[str, str]:
    """Read urlencoded fields, of a form or of a query. Raises BadForm."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise BadForm("The form cannot be read.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadForm("A field came twice.")
    return fields
