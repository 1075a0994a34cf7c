"""Hostile key lines, API keys, names and passwords: always one of the expected answers."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from auth_backends.api import ApiKeyToken, FrontEnd, Password, PublicKey, Refused, Secret
from auth_backends.api_keys import MalformedApiKey, issue, parse
from auth_backends.credentials import credential_from_password
from auth_backends.ssh_keys import ALGORITHMS, KeyRefused, ParsedKey, generate_key_pair, parse_public_key, rsa_bits
from config.settings import AuthSettings
from storage.database.records import Method
from storage.database.store import open_store
from tests.support.brokers import HOME, Desk

ANY_TEXT = st.text(st.characters(codec=None), max_size=300)  # lone surrogates and NUL too
GOOD_BLOB = generate_key_pair().public.blob
TOKEN = issue().token.reveal()
BRIEF = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONG = settings(max_examples=400, deadline=None)


@st.composite
def near_keys(draw: st.DrawFn) -> str:
    """Lines that look like keys: right types, wire forms with bytes changed, options, comments."""
    blob = bytearray(GOOD_BLOB)
    for _ in range(draw(st.integers(0, 3))):
        blob[draw(st.integers(0, len(blob) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(blob)))
    body = base64.b64encode(bytes(blob[:cut]) + draw(st.binary(max_size=40))).decode()
    algorithm = draw(st.sampled_from([*sorted(ALGORITHMS), "ssh-dss", "ssh-ed25519-cert-v01@openssh.com"]))
    return draw(st.sampled_from(["", "no-pty ", 'command="x" ', "#"])) + f"{algorithm} {body} " + draw(ANY_TEXT)


@st.composite
def wire_forms(draw: st.DrawFn) -> str:
    """Well-framed fields of the wrong sizes and values under a right type."""
    algorithm = draw(st.sampled_from(sorted(ALGORITHMS)))
    fields = [algorithm.encode(), *draw(st.lists(st.binary(max_size=140), max_size=4))]
    blob = b"".join(len(one).to_bytes(4, "big") + one for one in fields)
    return f"{algorithm} {base64.b64encode(blob).decode()}"


@LONG
@given(st.one_of(ANY_TEXT, near_keys(), wire_forms()))
@example("ssh-rsa " + base64.b64encode(b"\0\0\0\7ssh-rsa\xff\xff\xff\xff").decode())
def test_a_key_line_is_parsed_or_refused_in_words(text: str) -> None:
    """Nothing but KeyRefused is raised, and what is taken reads back as itself."""
    key: ParsedKey | str
    try:
        key = parse_public_key(text)
    except KeyRefused as refusal:
        key = refusal.message

    if isinstance(key, str):
        assert key
        return
    assert key.algorithm in ALGORITHMS
    assert parse_public_key(key.line) == key
    assert "\n" not in key.line


@LONG
@given(st.binary(max_size=400))
def test_any_bytes_have_an_rsa_size_or_none(blob: bytes) -> None:
    """Bytes from the wire never make the size check fail."""
    bits = rsa_bits(blob)

    assert bits is None or bits >= 0


@st.composite
def near_tokens(draw: st.DrawFn) -> str:
    """API keys with letters changed, cut, doubled or surrounded."""
    letters = list(TOKEN)
    for _ in range(draw(st.integers(0, 2))):
        letters[draw(st.integers(0, len(letters) - 1))] = draw(st.characters(codec=None))
    text = "".join(letters)
    return draw(st.sampled_from([text, text[: draw(st.integers(0, len(text)))], text + draw(ANY_TEXT), "qm_" + text]))


@LONG
@given(st.one_of(ANY_TEXT, near_tokens()))
def test_an_api_key_is_this_very_key_or_malformed(text: str) -> None:
    """No other text passes for an issued key."""
    try:
        parsed = parse(Secret(text))
    except MalformedApiKey:
        assert text != TOKEN
        return

    assert (text, parsed.id) == (TOKEN, TOKEN.split("_")[1])


@LONG
@given(ANY_TEXT, st.one_of(ANY_TEXT, near_tokens()))
def test_what_begins_as_a_key_is_never_a_password(username: str, text: str) -> None:
    """Whatever the name field says."""
    credential = credential_from_password(username, Secret(text))

    assert isinstance(credential, ApiKeyToken) or not text.startswith("qm_")


@pytest.fixture(scope="module")
def desk(migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A broker with one user of each method, and limits out of the way."""
    path = tmp_path_factory.mktemp("fuzz") / "store.db"
    shutil.copyfile(migrated_sqlite_file, path)
    store = open_store(f"sqlite:///{path}")
    desk = Desk(store, AuthSettings(max_failures_per_user=1000, max_failures_per_network=100_000))
    for method in Method:
        desk.user(f"user-{method}", method)
    yield desk
    store.close()


NAMES = st.one_of(ANY_TEXT, st.sampled_from([f"user-{method}" for method in Method]), st.just("@api"))


@BRIEF
@given(st.sampled_from(FrontEnd), NAMES, st.one_of(ANY_TEXT, near_tokens()))
def test_hostile_names_and_passwords_are_refused_with_one_event(
    desk: Desk, front_end: FrontEnd, username: str, text: str
) -> None:
    """Never an error, never a grant, exactly one audit event; only a directory that is not there is TryLater."""
    before = desk.store.audit.tail(limit=1)[-1].id

    decision = desk.try_in(front_end, credential_from_password(username, Secret(text)))

    assert isinstance(decision, Refused) or decision.reason == "no_backend"  # type: ignore[union-attr]  # a grant has no reason and fails here
    assert len(desk.store.audit.tail(after_id=before)) == 1


@BRIEF
@given(NAMES, ANY_TEXT, st.binary(max_size=100), st.one_of(st.none(), ANY_TEXT))
def test_hostile_keys_are_refused_with_one_event(
    desk: Desk, username: str, algorithm: str, blob: bytes, second: str | None
) -> None:
    """The same for SSH keys, offered and tried, with and without a password."""
    before = desk.store.audit.tail(limit=1)[-1].id

    offered = desk.broker.would_accept(username, algorithm, blob, HOME)
    decision = desk.try_in(
        FrontEnd.SFTP, PublicKey(username, algorithm, blob, None if second is None else Secret(second))
    )

    assert not offered
    assert isinstance(decision, Refused)
    assert len(desk.store.audit.tail(after_id=before)) == 1


def test_the_strategies_reach_the_good_ones(desk: Desk) -> None:
    """The unchanged key and token that the strategies start from are good, so near misses are near."""
    assert parse_public_key("ssh-ed25519 " + base64.b64encode(GOOD_BLOB).decode()).blob == GOOD_BLOB
    assert parse(Secret(TOKEN)).id
    assert isinstance(desk.try_in(FrontEnd.SFTP, Password("nobody", Secret("x"))), Refused)
