"""Receiving an upload: the loop takes the body, threads write it, and the end of the body decides."""

from __future__ import annotations

import asyncio

from server.http.body import Body
from server.runtime.bridge import Bridge
from server.webdav.limits import WRITE_BLOCK
from server.webdav.request import DavRequest, Environ
from server.webdav.uploads import Put, begin


async def receive_upload(
    bridge: Bridge, request: DavRequest, environ: Environ, body: Body, declared: int | None
) -> tuple[int, list[tuple[str, str]]]:
    """Run one PUT; give status and headers. Whatever it raises, the upload was aborted.

    Nothing is read from the client before everything else was checked, so a refusal comes instead
    of ``100 Continue``.
    """
    put = await bridge.io(begin, request, environ, declared, abandoned=Put.abort)
    try:
        await _pump(bridge, put, body)
        return await bridge.io(put.finish)
    except BaseException:
        await asyncio.shield(asyncio.ensure_future(bridge.io(put.abort)))
        raise


async def _pump(bridge: Bridge, put: Put, body: Body) -> None:
    """Write block after block; one is written while the next comes in, and no more are held."""
    writing: asyncio.Future[None] | None = None
    try:
        while block := await body.block(WRITE_BLOCK):
            if writing is not None:
                await writing
            writing = asyncio.ensure_future(bridge.io(put.write, block))
        if writing is not None:
            await writing
    finally:
        if writing is not None and not writing.done():
            await asyncio.wait([writing])  # before the abort; its own error is no news then
        if writing is not None and writing.done() and not writing.cancelled():
            writing.exception()
