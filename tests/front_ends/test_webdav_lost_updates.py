"""Conditional uploads at the same moment, over workers."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.dav_site import basic
from tests.support.raw_http import RawHttps
from tests.support.server import QuaymasterServer

pytestmark = pytest.mark.system

PASSWORD = "update-password"
RIVALS = 4
ROUNDS = 40


def test_of_uploads_that_name_one_version_one_succeeds(server: QuaymasterServer) -> None:
    """If-Match holds up to the commit: of four that end at once, three get 412, and nobody's success is overwritten."""
    name = f"rival-{time.time_ns():x}"
    server.add_user(name, password=PASSWORD)
    auth = {"Authorization": basic(name, PASSWORD)}
    outcomes: list[list[int]] = []
    with contextlib.ExitStack() as leaving, ThreadPoolExecutor(RIVALS) as pool:
        clients = [leaving.enter_context(RawHttps(server.http_port, server.certificate)) for _ in range(RIVALS)]
        assert clients[0].ask("PUT", "/dav/f", auth, b"first").status == 201
        for _ in range(ROUNDS):
            tag = clients[0].ask("HEAD", "/dav/f", auth).headers["etag"]
            together = threading.Barrier(RIVALS)

            def rival(client: RawHttps, tag: str = tag, together: threading.Barrier = together) -> int:
                body = b"x" * 200_000
                try:
                    client.begin("PUT", "/dav/f", auth | {"If-Match": tag, "Content-Length": str(len(body))})
                    client.send(body[:-1])
                except OSError:
                    together.abort()  # the others need not wait for one who cannot come
                    raise
                together.wait(60.0)
                client.send(body[-1:])
                return client.answer().status

            rivals = [pool.submit(rival, client) for client in clients]
            assert "".join(f"{error!r} " for one in rivals if (error := one.exception()) is not None) == ""
            outcomes.append(sorted(one.result() for one in rivals))

    assert outcomes == [[204, 412, 412, 412]] * ROUNDS
