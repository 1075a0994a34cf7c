"""The WebDAV conformance suite litmus, over HTTPS, against two workers on one port and one database."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.server import QuaymasterServer

PASSWORD = "litmus-password"

pytestmark = pytest.mark.system


def test_litmus_passes_every_test(server: QuaymasterServer, tmp_path: Path) -> None:
    """basic, copymove, props, locks and http: none fails. expect100 cannot run over TLS in litmus itself."""
    server.add_user("litmus", password=PASSWORD)
    url = f"https://localhost:{server.http_port}/dav/"
    run = subprocess.run(
        ["litmus", "-k", url, "litmus", PASSWORD],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    summaries = re.findall(r"summary for `(\w+)': of (\d+) tests run: (\d+) passed, (\d+) failed", run.stdout)
    assert run.returncode == 0, run.stdout
    assert [(suite, total) for suite, total, _, _ in summaries] == [
        ("basic", "16"),
        ("copymove", "13"),
        ("props", "30"),
        ("locks", "41"),
        ("http", "3"),
    ]
    assert all(total == passed and failed == "0" for _, total, passed, failed in summaries), run.stdout
