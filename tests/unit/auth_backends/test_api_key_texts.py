"""The text form of API keys, and how it is told from a password."""

from __future__ import annotations

import hashlib
import re

import pytest

from auth_backends.api import ApiKeyToken, Password, Secret
from auth_backends.api_keys import MalformedApiKey, issue, parse
from auth_backends.credentials import credential_from_password


def test_a_key_has_the_promised_form() -> None:
    """``qm_<key id>_<256-bit secret>_<checksum>``; at rest SHA-256 of the secret part."""
    issued = issue()
    prefix, key_id, secret, checksum = issued.token.reveal().split("_")

    assert (prefix, key_id) == ("qm", issued.id)
    assert re.fullmatch("[0-9a-f]{32}", key_id)
    assert re.fullmatch("[0-9A-Za-z]{43}", secret)
    assert re.fullmatch("[0-9A-Za-z]{6}", checksum)
    assert hashlib.sha256(secret.encode()).digest() == issued.digest
    assert 62**43 >= 2**256
    assert issued.token.reveal() not in repr(issued)


def test_a_key_proves_its_own_digest_only() -> None:
    """Parsed, a key has its id, and its secret proves the digest that was kept."""
    mine, other = issue(), issue()
    parsed = parse(mine.token)

    assert parsed.id == mine.id
    assert parsed.proves(mine.digest)
    assert not parsed.proves(other.digest)
    assert mine.digest.hex() not in repr(parsed)


def test_any_one_wrong_letter_is_caught_by_the_checksum() -> None:
    """A typing error anywhere, or two letters swapped, ends before any look-up."""
    text = issue().token.reveal()
    wrong = [text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :] for at in range(len(text))]
    swapped = [text[:at] + text[at + 1] + text[at] + text[at + 2 :] for at in range(len(text) - 1)]

    for one in (*wrong, *swapped):
        if one != text:
            with pytest.raises(MalformedApiKey):
                parse(Secret(one))


@pytest.mark.parametrize("text", ["", "qm_", "qm___", "qm_a_b_c", "password", "\ud800", "qm_\0", " {}", "{} ", "{}\n"])
def test_what_is_no_key_is_malformed(text: str) -> None:
    """Nothing around or instead of a key is taken for one."""
    with pytest.raises(MalformedApiKey):
        parse(Secret(text.replace("{}", issue().token.reveal())))


@pytest.mark.parametrize(
    ("username", "text", "kind"),
    [
        ("alice", "secret", Password),
        ("alice", "", Password),
        ("alice", "QM_x", Password),
        ("alice", "qm_", ApiKeyToken),
        ("alice", "qm_mistyped", ApiKeyToken),
        ("@api", "whatever", ApiKeyToken),
        ("@API", "whatever", ApiKeyToken),
    ],
)
def test_a_text_is_a_password_or_a_key_by_itself_alone(username: str, text: str, kind: type) -> None:
    """A mistyped key is still no password: it must not be hashed or sent to a directory (K5)."""
    credential = credential_from_password(username, Secret(text))

    assert type(credential) is kind
    assert credential.username == username
