"""A throwaway certificate authority for test servers."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a server proves itself with over TLS, and the authority to check it against."""

    ca_file: Path
    certificate: Path
    key: Path


class Authority:
    """A new authority whose certificates and keys lie in ``folder``; ``ca_file`` is what a client trusts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(f"Test authority {os.urandom(4).hex()}")
        self._issued = 0
        certificate = (
            self._draft(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        dns: Sequence[str] = ("localhost",),
        ips: Sequence[str] = ("127.0.0.1",),
        expired: bool = False,
    ) -> tuple[Path, Path]:
        """Make a server certificate for these DNS names and addresses; give its file and its key's (mode 0600).

        ``name`` is the subject's common name and the start of the files' names; no client should look at it.
        With ``expired`` it ran out yesterday.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [*map(x509.DNSName, dns), *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips)]
        draft = (
            self._draft(_named(name), key.public_key(), expired=expired)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        if alternatives:
            draft = draft.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = draft.sign(self._key, hashes.SHA256())
        self._issued += 1
        files = [self._folder / f"{name}-{self._issued}.{kind}" for kind in ("pem", "key")]
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        with os.fdopen(os.open(files[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
        return files[0], files[1]

    def _draft(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, *, expired: bool = False
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        first, last = (now - 9 * _DAY, now - _DAY) if expired else (now - _DAY, now + 9 * _DAY)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(first)
            .not_valid_after(last)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
