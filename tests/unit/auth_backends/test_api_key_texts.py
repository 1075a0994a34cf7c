"""The text form of API keys, and how it is told from a password."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import pytest

from auth_backends.api import Accepted, ApiKeyToken, Factor, FrontEnd, Password, Reason, Refused, Secret
from auth_backends.api_keys import MalformedApiKey, issue, parse
from auth_backends.credentials import credential_from_password
from auth_backends.passwords import PasswordHasher, PasswordRefused
from auth_backends.scim_clients import issue as issue_scim_token
from auth_backends.secret_texts import IssuedSecret
from config.settings import AuthSettings
from storage.database.records import Method
from storage.database.store import Store
from tests.support.brokers import Argon2Spy, Desk, StandInBackend, reason_of

FIXED = b"no password is compared here"
NO_LIMITS = AuthSettings(max_failures_per_user=1000, max_failures_per_network=100_000)


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
        ("alice", "qm", Password),
        ("alice", "my qm_ one", Password),
        ("alice", "bearer of news", Password),
        ("alice", "Bearerqm_x", Password),
        ("alice", f"my qm_{'0' * 31}_", Password),
        ("alice", "qm_", ApiKeyToken),
        ("alice", "qm_mistyped", ApiKeyToken),
        ("alice", "QM_x", ApiKeyToken),
        ("alice", "qms_x", ApiKeyToken),
        ("alice", "Qms_x", ApiKeyToken),
        ("alice", " \t\r\nqm_x", ApiKeyToken),
        ("alice", "\ufeffqm_x", ApiKeyToken),
        ("alice", "\u200bqm_x", ApiKeyToken),
        ("alice", "Bearer qms_x", ApiKeyToken),
        ("alice", " bearer  qm_x", ApiKeyToken),
        ("alice", f"Authorization: Bearer qms_{'a' * 32}_rest", ApiKeyToken),
        ("alice", f'"qm_{"0" * 32}_', ApiKeyToken),
        ("alice", f"key=QM_{'F' * 32}_x", ApiKeyToken),
        ("@api", "whatever", ApiKeyToken),
        ("@API", "whatever", ApiKeyToken),
    ],
)
def test_a_text_is_a_password_or_a_key_by_itself_alone(username: str, text: str, kind: type) -> None:
    """A mistyped key is still no password: it must not be hashed or sent to a directory (K5)."""
    credential = credential_from_password(username, Secret(text))

    assert type(credential) is kind
    assert credential.username == username


def ways_of_pasting(issued: IssuedSecret) -> list[str]:
    """What a hand makes of a key on its way into a password field; the key as it is comes first."""
    text = issued.token.reveal()
    return [
        text,
        f" {text}",
        f"{text}\n",
        f"\ufeff{text}",
        f"Bearer {text}",
        f"Authorization: bearer {text}",
        text.upper(),
        text[: text.rindex("_")],
        f"'{text}'",
        f"{issued.id}:{text}",
    ]


@pytest.mark.parametrize("make", [issue, issue_scim_token], ids=["api key", "scim token"])
@pytest.mark.parametrize("front_end", [FrontEnd.SFTP, FrontEnd.FTPS, FrontEnd.WEBDAV])
def test_a_key_that_is_pasted_wrongly_reaches_neither_directory_nor_hash(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, front_end: FrontEnd, make: Callable[[], IssuedSecret]
) -> None:
    """However it was pasted, a directory that says yes to everything is not asked, and no hash is made of it (K5)."""
    directory = StandInBackend(lambda: Accepted(Factor.PASSWORD))
    desk = Desk(sqlite_store, NO_LIMITS, others={Method.LDAP: directory})
    desk.user("linda", Method.LDAP)
    desk.user("alice")
    hashed = Argon2Spy(monkeypatch)

    decisions = [
        desk.try_in(front_end, credential(name, Secret(text)))
        for name in ("linda", "alice")
        for text in ways_of_pasting(make())
        for credential in (credential_from_password, Password)
    ]

    assert all(isinstance(decision, Refused) for decision in decisions)
    assert directory.asked == []
    assert set(hashed.texts) <= {FIXED}


def test_a_key_is_no_password_beside_an_ssh_key_either(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second half of local+key is compared by its hash, and so it is not asked."""
    desk = Desk(sqlite_store, NO_LIMITS)
    ssh_key = desk.ssh_key(desk.user("both", Method.LOCAL_KEY))
    hashed = Argon2Spy(monkeypatch)

    decisions = [desk.key("both", ssh_key, second=text) for text in ways_of_pasting(issue())]

    assert {reason_of(decision) for decision in decisions} == {Reason.UNUSABLE_PASSWORD}
    assert set(hashed.texts) == {FIXED}


@pytest.mark.parametrize("text", ["qm_x", "QMS_x", " qm_x", "Bearer qm_x", f"my qm_{'0' * 32}_x"])
def test_no_password_is_set_that_would_be_taken_for_a_key(text: str) -> None:
    """Its owner could never sign in with it."""
    with pytest.raises(PasswordRefused, match="API key"):
        PasswordHasher(memory_kib=8, rounds=1).hash(Secret(text))
