"""SimpleSAMLphp as a SAML identity provider on loopback, in the shape of Entra ID."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from lxml import etree

from auth_backends.saml.documents import DSIG, NAMES, parsed
from auth_backends.saml.parties import new_key_pair
from tests.support.directories.processes import dying_with_parent, end, program
from tests.support.ports import claim_ports
from tests.support.saml_signer import ISSUER
from tests.support.waiting import eventually

CONFIGURATION = Path(__file__).parent / "simplesaml"
PAGES = Path("/usr/share/simplesamlphp/www")
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
_MD = {"md": "urn:oasis:names:tc:SAML:2.0:metadata"}

People = Mapping[str, Mapping[str, list[str]]]
"""Attributes of each person, by "name:password"."""


class SimpleSaml:
    """Started on entering the ``with`` block; nothing of it outlives that.

    ``logout`` is the binding of single logout that its metadata have.
    """

    def __init__(self, people: People, *, logout: str = REDIRECT) -> None:
        self._program = program("php")
        if not PAGES.is_dir():
            pytest.fail("simplesamlphp is not installed; tools/install-test-programs installs what the tests need.")
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = claim_ports()
        self.address = f"http://127.0.0.1:{self._ports.port(0)}/"
        self.metadata_url = f"{self.address}saml2/idp/metadata.php"
        self.folder = Path(tempfile.mkdtemp(prefix="simplesaml-"))
        (self.folder / "sessions").mkdir(mode=0o700)
        pair = new_key_pair("identity provider", time.time())
        (self.folder / "idp.key").write_text(pair.private_key_pem.reveal())
        (self.folder / "idp.pem").write_text(pair.certificate_pem)
        self.certificate = "".join(pair.certificate_pem.splitlines()[1:-1])
        self._site: dict[str, Any] = {
            "address": self.address,
            "folder": str(self.folder),
            "salt": secrets.token_hex(16),
            "entity_id": ISSUER,
            "logout_binding": logout,
            "people": people,
            "service_providers": {},
        }
        self._write()

    def __enter__(self) -> Self:
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-S", f"127.0.0.1:{self._ports.port(0)}", "-t", str(PAGES)],
                env={"SIMPLESAMLPHP_CONFIG_DIR": str(CONFIGURATION), "QM_TEST_IDP_FOLDER": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 - a killed test run must leave no server behind
            )
        eventually(self._answers, what="SimpleSAMLphp")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end(self._process)
        self._ports.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def trust(self, metadata: bytes, *, encrypted_for: str | None = None, logout: str = REDIRECT) -> None:
        """Take a service provider by its metadata; its assertions are encrypted if that is for a certificate.

        ``logout`` is the binding by which requests of single logout go there.
        """
        root = parsed(metadata)
        addresses = _addresses(root, "SingleLogoutService")
        self._site["service_providers"][root.get("entityID")] = {
            "AssertionConsumerService": _addresses(root, "AssertionConsumerService"),
            "SingleLogoutService": [one for one in addresses if one["Binding"] == logout],
            "keys": [
                _key(certificate_in(metadata), "signing"),
                *([_key(encrypted_for, "encryption")] if encrypted_for else []),
            ],
            "validate.authnrequest": True,
            "assertion.encryption": encrypted_for is not None,
        }
        self._write()

    @property
    def log(self) -> str:
        """What it logged."""
        files = [self.folder / "simplesaml.log", self.folder / "server.log"]
        return "".join(file.read_text("utf-8", "replace") for file in files if file.exists())

    def _write(self) -> None:
        new = self.folder / "site.json.new"
        new.write_text(json.dumps(self._site))
        new.rename(self.folder / "site.json")

    def _answers(self) -> bool:
        try:
            found = httpx.get(self.metadata_url, trust_env=False, timeout=10)
        except httpx.TransportError:
            return False
        assert found.status_code == httpx.codes.OK, f"{found.text}\n{self.log}"
        return True


def certificate_in(metadata: bytes) -> str:
    """The first certificate in metadata, as base64."""
    return "".join((parsed(metadata).findtext(f".//{{{DSIG}}}X509Certificate") or "").split())


def _key(certificate: str, use: str) -> dict[str, object]:
    return {"type": "X509Certificate", "X509Certificate": certificate} | {
        one: one == use for one in ("signing", "encryption")
    }


def _addresses(root: etree._Element, kind: str) -> list[dict[str, object]]:
    found = root.iterfind(f".//md:{kind}", NAMES | _MD)
    return [
        {"index": number, "Binding": element.get("Binding"), "Location": element.get("Location")}
        for number, element in enumerate(found)
    ]
