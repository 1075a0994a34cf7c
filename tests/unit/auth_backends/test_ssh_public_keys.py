"""Which SSH keys are taken, and what people are told about the others."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from auth_backends.ssh_keys import (
    ALGORITHMS,
    KeyRefused,
    ParsedKey,
    fingerprint,
    generate_key_pair,
    parse_public_key,
    rsa_bits,
)

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFQBp12BaLnVE5XJ4gCCKyjjaKrJVoJMxtXMkXaPkXcl"


def field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def mpint(number: int) -> bytes:
    return field(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def line(algorithm: str, *fields: bytes) -> str:
    blob = field(algorithm.encode()) + b"".join(fields)
    return f"{algorithm} {base64.b64encode(blob).decode()}"


def made_by_ssh_keygen(folder: Path, *options: str) -> tuple[str, str]:
    """Give a key's public line and the line that ``ssh-keygen -l`` prints for it."""
    file = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "a comment", "-f", file, *options], check=True)
    listed = subprocess.run(["ssh-keygen", "-l", "-f", file], check=True, capture_output=True, text=True).stdout
    return Path(f"{file}.pub").read_text(), listed


@pytest.mark.parametrize(
    ("options", "algorithm", "bits"),
    [
        (("-t", "ed25519"), "ssh-ed25519", 256),
        (("-t", "ecdsa", "-b", "256"), "ecdsa-sha2-nistp256", 256),
        (("-t", "ecdsa", "-b", "384"), "ecdsa-sha2-nistp384", 384),
        (("-t", "ecdsa", "-b", "521"), "ecdsa-sha2-nistp521", 521),
        (("-t", "rsa", "-b", "2048"), "ssh-rsa", 2048),
    ],
)
def test_keys_of_ssh_keygen_are_taken_and_named_as_it_names_them(
    tmp_path: Path, options: tuple[str, ...], algorithm: str, bits: int
) -> None:
    """Type, size, fingerprint and comment are those that OpenSSH shows."""
    text, listed = made_by_ssh_keygen(tmp_path, *options)

    key = parse_public_key(text)

    assert (key.algorithm, key.bits, key.comment) == (algorithm, bits, "a comment")
    assert listed.split()[:2] == [str(bits), key.fingerprint]
    assert parse_public_key(key.line) == key


def test_security_keys_are_taken() -> None:
    """ed25519-sk and ecdsa-sk, in the form of OpenSSH's PROTOCOL.u2f."""
    point = base64.b64decode("BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=")
    ed = parse_public_key(line("sk-ssh-ed25519@openssh.com", field(b"k" * 32), field(b"ssh:")))
    ec = parse_public_key(
        line("sk-ecdsa-sha2-nistp256@openssh.com", field(b"nistp256"), field(point), field(b"ssh:quaymaster"))
    )

    assert [ed.algorithm, ec.algorithm] == ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"]
    assert {ed.algorithm, ec.algorithm} < ALGORITHMS


def test_a_new_pair_works_with_openssh(tmp_path: Path) -> None:
    """ssh-keygen reads the private half and finds the same public half in it."""
    pair = generate_key_pair("alice")
    file = tmp_path / "id"
    file.write_text(pair.private.reveal())
    file.chmod(0o600)

    found = subprocess.run(["ssh-keygen", "-y", "-f", file], check=True, capture_output=True, text=True).stdout

    assert parse_public_key(found).blob == pair.public.blob
    assert pair.public_line == f"{found.split()[0]} {found.split()[1]} alice"
    assert pair.private.reveal() not in repr(pair)


def test_a_certificate_is_refused_with_the_reason(tmp_path: Path) -> None:
    """A certificate is no key; the refusal names the file that is wanted."""
    made_by_ssh_keygen(tmp_path, "-t", "ed25519")
    ca = tmp_path / "ca"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", ca], check=True)
    subprocess.run(["ssh-keygen", "-q", "-s", ca, "-I", "id", "-n", "alice", tmp_path / "key.pub"], check=True)

    with pytest.raises(KeyRefused, match="certificate"):
        parse_public_key((tmp_path / "key-cert.pub").read_text())


BLOB = base64.b64decode(ED25519.split()[1])
BODY = ED25519.split()[1]
EVEN_MODULUS, ODD_MODULUS = 1 << 2047, (1 << 2047) + 1

REFUSED = {
    "nothing": ("  \n", "paste the one line"),
    "private OpenSSH": ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----", "PRIVATE key"),
    "private PEM": ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", "PRIVATE key"),
    "private PuTTY": ("PuTTY-User-Key-File-3: ssh-ed25519", "PRIVATE key"),
    "RFC 4716": ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA", "ssh-keygen -i -f"),
    "PEM": ("-----BEGIN PUBLIC KEY-----\nMIIB", "-m PKCS8"),
    "two lines": (f"{ED25519}\n{ED25519}", "one key at a time"),
    "too long": ("ssh-ed25519 " + "A" * 20_000, "at most"),
    "DSA": (line("ssh-dss", field(b"x")), "DSA"),
    "DSA with options": ("no-pty " + line("ssh-dss", field(b"x")), "options"),
    "unknown type": ("ssh-ed448 AAAA", "ssh-ed448"),
    "signature name": (f"rsa-sha2-256 {BODY}", "rsa-sha2-256"),
    "command option": (f'command="rm -rf /" {ED25519}', "options"),
    "from option": (f'from="10.0.0.0/8",no-pty {ED25519}', "options"),
    "certificate authority": (f"cert-authority {ED25519}", "options"),
    "words": ("hello world", "not an SSH public key"),
    "type alone": ("ssh-ed25519", "stands alone"),
    "not base64": ("ssh-ed25519 AAAA*AAA", "base64"),
    "other type inside": (f"ssh-rsa {BODY}", "differ"),
    "cut off": (f"ssh-ed25519 {base64.b64encode(BLOB[:-2]).decode()}", "cut off"),
    "empty": ("ssh-ed25519 AAAA", "cut off"),
    "bytes after": (f"ssh-ed25519 {base64.b64encode(BLOB + b'x').decode()}", "after its end"),
    "short Ed25519": (line("ssh-ed25519", field(b"x" * 31)), "length"),
    "no application": (line("sk-ssh-ed25519@openssh.com", field(b"k" * 32), field(b"")), "application"),
    "other curve": (line("ecdsa-sha2-nistp256", field(b"nistp384"), field(b"\4" + b"x" * 64)), "curve"),
    "compressed point": (line("ecdsa-sha2-nistp256", field(b"nistp256"), field(b"\2" + b"x" * 32)), "uncompressed"),
    "point off curve": (line("ecdsa-sha2-nistp256", field(b"nistp256"), field(b"\4" + b"x" * 64)), "curve"),
    "short RSA": (line("ssh-rsa", mpint(65537), mpint((1 << 1023) + 1)), "1024 bits"),
    "long RSA": (line("ssh-rsa", mpint(65537), mpint((1 << 16_384) + 1)), "16384"),
    "even modulus": (line("ssh-rsa", mpint(65537), mpint(EVEN_MODULUS)), "not those of an RSA key"),
    "exponent one": (line("ssh-rsa", mpint(1), mpint(ODD_MODULUS)), "not those of an RSA key"),
    "negative number": (line("ssh-rsa", mpint(65537), field(b"\xff" * 256)), "shortest"),
    "padded number": (line("ssh-rsa", field(b"\0\1\0\1"), mpint(ODD_MODULUS)), "shortest"),
    "zero number": (line("ssh-rsa", field(b""), mpint(ODD_MODULUS)), "shortest"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_is_no_usable_key_is_refused_with_what_to_do(case: str) -> None:
    """Each refusal says what is wrong in words that lead on, and never repeats the text."""
    text, words = REFUSED[case]

    with pytest.raises(KeyRefused, match=words) as refusal:
        parse_public_key(text)

    assert refusal.value.message == str(refusal.value)
    assert len(text) < 40 or text.strip() not in refusal.value.message


def test_a_site_may_ask_for_longer_rsa(rsa_2048: ParsedKey) -> None:
    """The least size is the site's."""
    assert parse_public_key(rsa_2048.line, min_rsa_bits=2048).bits == 2048
    with pytest.raises(KeyRefused, match="at least 3072"):
        parse_public_key(rsa_2048.line, min_rsa_bits=3072)


def test_a_comment_is_kept_on_one_clean_line() -> None:
    """Control characters do not reach logs and files."""
    key = parse_public_key(f"{ED25519}  two   words\t\x1b[31m " + "x" * 500)

    assert key.comment.startswith("two words [31m")
    assert len(key.comment) == 200


def test_the_size_of_an_rsa_blob_is_read_from_any_bytes(rsa_2048: ParsedKey) -> None:
    """Other keys, and bytes that are none, have no RSA size."""
    assert rsa_bits(rsa_2048.blob) == 2048
    assert [rsa_bits(blob) for blob in (BLOB, b"", b"\0\0", field(b"ssh-rsa"))] == [None] * 4


def test_the_fingerprint_is_openssh_s() -> None:
    """SHA-256 in base64 without padding."""
    assert fingerprint(b"") == "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
