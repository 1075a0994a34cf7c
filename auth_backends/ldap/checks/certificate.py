"""What a certificate says, for people; also one that was not accepted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Shown:
    """``names`` are DNS names and addresses; times are UTC."""

    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    def days_left(self, now: datetime) -> int:
        """Give the whole days until it runs out; negative after that."""
        return (self.not_after - now).days

    def listed(self) -> str:
        """Give its names in a sentence."""
        return ", ".join(self.names) if self.names else "no name at all (a common name is none)"


def shown(der: bytes) -> Shown | None:
    """Read a certificate, or give None if it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return Shown(
            _called(certificate.issuer),
            _names(certificate),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )
    except ValueError:
        return None


def now() -> datetime:
    """Give the present time."""
    return datetime.now(UTC)


def _called(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return (*found.get_values_for_type(x509.DNSName), *addresses)
