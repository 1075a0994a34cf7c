"""The Authorization header."""

from __future__ import annotations

import base64

import pytest

from auth_backends.api import ApiKeyToken, Password, Secret
from server.webdav.authentication import NoCredential, credential_from


def encoded(raw: bytes) -> str:
    return "Basic " + base64.b64encode(raw).decode()


def test_basic_gives_name_and_password_as_they_are() -> None:
    """Colons, umlauts and a Windows domain stay what they are."""
    assert Password("DOM\\änna", Secret("p:ä:")) == credential_from(encoded("DOM\\änna:p:ä:".encode()))


def test_old_clients_send_latin_1() -> None:
    """What is not UTF-8 is read as latin-1, as clients before RFC 7617 meant it."""
    assert Password("änna", Secret("ö")) == credential_from(encoded("änna:ö".encode("latin-1")))


@pytest.mark.parametrize("header", [encoded(b"anna:qm_abc_def_x"), encoded(b"@api:qm_abc_def_x")])
def test_an_api_key_in_the_password_field_is_an_api_key(header: str) -> None:
    """It is neither hashed nor sent to a directory, whatever the name beside it."""
    assert isinstance(credential_from(header), ApiKeyToken)


def test_bearer_is_an_api_key_without_a_name() -> None:
    """RFC 6750."""
    assert ApiKeyToken(None, Secret("qm_abc")) == credential_from("bearer qm_abc")


@pytest.mark.parametrize(
    "header", [None, "", "Basic", "Basic !!!", encoded(b"nocolon"), "Bearer ", "Digest x", "Negotiate abc", "x" * 9000]
)
def test_everything_else_is_no_credential(header: str | None) -> None:
    """Nothing falls through to an anonymous user."""
    with pytest.raises(NoCredential):
        credential_from(header)
