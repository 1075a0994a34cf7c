"""``quaymaster key`` and ``quaymaster apikey``."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auth_backends.api import Secret
from auth_backends.api_keys import parse
from auth_backends.ssh_keys import generate_key_pair
from tests.support.cli import Cli


@pytest.fixture
def otto(cli: Cli) -> Cli:
    """An installation with two SSO users."""
    cli.ok("user", "add", "otto", "--method", "oidc")
    cli.ok("user", "add", "anna", "--method", "saml")
    return cli


@pytest.fixture
def public_key(tmp_path: Path) -> Path:
    file = tmp_path / "id.pub"
    file.write_text(generate_key_pair("otto@desk").public.line + "\n")
    return file


def test_key_add_tells_what_was_added(otto: Cli, public_key: Path) -> None:
    """The answer is the stored key; the title is the key's comment unless one is given."""
    key = otto.ok("key", "add", "otto", str(public_key), "--networks=10.0.0.0/8", "--read-only", "--expires=30d")

    (listed,) = otto.ok("key", "list", "otto")
    assert key["fingerprint"].startswith("SHA256:")
    assert (key["title"], key["algorithm"], key["networks"]) == ("otto@desk", "ssh-ed25519", ["10.0.0.0/8"])
    assert (key["read_only"], key["warnings"], key["revoked_at"]) == (True, [], None)
    assert listed["id"] == key["id"]
    assert otto.ok("key", "list", "anna") == []


def test_key_add_from_standard_input(otto: Cli, public_key: Path) -> None:
    """``-`` reads the key from standard input, comments and empty lines left out."""
    key = otto.ok("key", "add", "otto", "-", "--title=desk", stdin=f"# mine\n\n{public_key.read_text()}")

    assert key["title"] == "desk"


def test_a_key_of_somebody_else_is_warned_about(otto: Cli, public_key: Path) -> None:
    """It is added, and both the JSON and standard error name the other user."""
    otto.ok("key", "add", "otto", str(public_key))

    said = otto.run("key", "add", "anna", str(public_key), "--json")

    assert "otto" in said.data["warnings"][0]
    assert "Warning: this key already lets in otto" in said.err


def test_the_same_key_twice_is_refused(otto: Cli, public_key: Path) -> None:
    """A user has a key once; after its end it may come back."""
    key = otto.ok("key", "add", "otto", str(public_key))

    assert otto.run("key", "add", "otto", str(public_key)).code == 1
    otto.ok("key", "revoke", key["id"])
    assert otto.ok("key", "add", "otto", str(public_key))["id"] != key["id"]


def test_weak_and_wrong_keys_are_refused_with_the_reason(otto: Cli, tmp_path: Path) -> None:
    """Short RSA, DSA, private keys, noise, several keys, bytes and missing files: each gets its own words."""
    weak = generate_private_key(65537, 1024)  # noqa: S505 - it must be refused
    short = weak.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    pair = generate_key_pair()
    cases = {
        "1024 bits": short,
        "DSA": b"ssh-dss AAAAB3NzaC1kc3MAAACBA otto",
        "PRIVATE": pair.private.reveal().encode(),
        "not an SSH public key": b"hello",
        "more than one line": f"{pair.public.line}\n{generate_key_pair().public.line}".encode(),
        "it is not text": b"\xff\xfe",
    }
    for word, content in cases.items():
        (tmp_path / "key.pub").write_bytes(content)

        said = otto.run("key", "add", "otto", str(tmp_path / "key.pub"), "--json")

        assert (said.code, said.out) == (1, "")
        assert word in said.err
    assert "No such file" in otto.run("key", "add", "otto", str(tmp_path / "absent")).err
    assert otto.ok("key", "list") == []


def test_generate_writes_a_pair_that_openssh_reads(otto: Cli, tmp_path: Path) -> None:
    """The private file is 0600, belongs to the public one, and nothing is overwritten."""
    out = tmp_path / "otto"

    key = otto.ok("key", "generate", "otto", "--out", str(out))

    derived = subprocess.run(["ssh-keygen", "-y", "-f", str(out)], capture_output=True, text=True, check=True).stdout
    shown = subprocess.run(["ssh-keygen", "-lf", f"{out}.pub"], capture_output=True, text=True, check=True).stdout
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert derived.split()[1] == Path(f"{out}.pub").read_text().split()[1]
    assert key["fingerprint"] in shown
    assert key["private_key"] == str(out)
    before = out.read_bytes()
    assert "exists already" in otto.run("key", "generate", "otto", "--out", str(out)).err
    assert out.read_bytes() == before


def test_revoked_keys_stay_listed(otto: Cli, public_key: Path) -> None:
    """The end of a key is shown with its time; an unknown id is told."""
    key = otto.ok("key", "add", "otto", str(public_key))

    revoked = otto.ok("key", "revoke", key["id"])

    assert revoked["revoked_at"] is not None
    assert [row["revoked_at"] for row in otto.ok("key", "list")] == [revoked["revoked_at"]]
    assert otto.run("key", "revoke", "0" * 32).code == 1


def test_apikey_issue_shows_the_key_once(otto: Cli) -> None:
    """JSON holds id and key; the list holds the id and never the key."""
    issued = otto.ok("apikey", "issue", "otto", "--title=backup")

    assert parse(Secret(issued["key"])).id == issued["id"]
    assert set(issued) == {"id", "key", "user"}
    said = otto.run("apikey", "list", "--json")
    assert [row["id"] for row in said.data] == [issued["id"]]
    assert issued["key"].split("_")[2] not in said.out


def test_without_json_only_the_key_is_on_standard_output(otto: Cli) -> None:
    """So that it can be piped into a vault; the words are on standard error."""
    said = otto.run("apikey", "issue", "otto")

    assert parse(Secret(said.out.strip())).id in said.err


def test_every_scope_reaches_the_key(otto: Cli) -> None:
    """Protocols, paths, networks, read-only and expiry are stored as given, paths in normal form."""
    otto.ok(
        "apikey",
        "issue",
        "otto",
        "--protocols=ftps,webdav",
        "--paths=/in,out/../out/",
        "--networks=192.0.2.7",
        "--read-only",
        "--expires=1y",
    )

    (key,) = otto.ok("apikey", "list", "otto")
    assert (key["protocols"], key["paths"]) == (["ftps", "webdav"], ["/in", "/out"])
    assert (key["networks"], key["read_only"]) == (["192.0.2.7/32"], True)
    assert key["expires_at"] > key["created_at"]


def test_apikey_revoke(otto: Cli) -> None:
    """The end is shown; an unknown id and a bad path are told."""
    issued = otto.ok("apikey", "issue", "otto")

    assert otto.ok("apikey", "revoke", issued["id"])["revoked_at"] is not None
    assert otto.run("apikey", "revoke", "nothing").code == 1
    assert "no path" in otto.run("apikey", "issue", "otto", "--paths=/a\x01").err


def test_tables_for_people_show_every_limit_of_a_key(otto: Cli, public_key: Path) -> None:
    """Networks and expiry too: whoever asks why a key is refused looks here first."""
    limits = ("--networks=192.0.2.0/24", "--read-only", "--expires=2999-12-30")
    otto.ok("key", "add", "otto", str(public_key), *limits)
    otto.ok("apikey", "issue", "otto", "--protocols=webdav", "--paths=/in", *limits)

    keys, apikeys = otto.run("key", "list").out, otto.run("apikey", "list").out

    for table in (keys, apikeys):
        assert "192.0.2.0/24" in table
        assert "2999-12-31T00:00:00Z" in table
        assert "yes" in table
    assert "SHA256:" in keys
    assert "webdav" in apikeys
    assert "/in" in apikeys
