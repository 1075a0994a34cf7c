"""Whom to believe over TLS: one context for all connections of a provider, checked by Python's own ssl.

ldap3 2.9.1 checks no certificate by default, its own check of names ignores IP addresses on Python 3.12 and later, and
it would load the authorities for each connection anew.
"""

from __future__ import annotations

import ssl

from auth_backends.ldap.errors import CertificateRefused, TlsFailed
from config.ldap import LdapProvider

NAME_MISMATCH = frozenset({62, 63, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, _EMAIL_, _IP_ADDRESS_
EXPIRED = 10
NOT_YET_VALID = 9


def tls_context(provider: LdapProvider) -> ssl.SSLContext:
    """Give a context that trusts the provider's authority, or the system's. Raises TlsFailed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # requires a certificate, for the name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525 section 2: the common name is no name
    if provider.ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whom the admin names is trusted, a subordinate, too
    try:
        context.load_verify_locations(cafile=str(provider.ca_file))
    except ssl.SSLError:
        raise TlsFailed(f"ca_file {provider.ca_file} holds no certificate that can be read") from None
    except OSError as error:
        raise TlsFailed(f"ca_file {provider.ca_file} cannot be read: {error.strerror}") from None
    return context


def refused(error: ssl.SSLCertVerificationError, host: str, name: str) -> CertificateRefused:
    """Say in words why a certificate was not accepted."""
    code = error.verify_code
    if code in NAME_MISMATCH:
        detail = f"the certificate is not for {name!r}"
    elif code == EXPIRED:
        detail = "the certificate, or one that it depends on, has expired"
    elif code == NOT_YET_VALID:
        detail = "the certificate, or one that it depends on, is not valid yet"
    else:
        detail = f"the certificate is not by a trusted authority ({error.verify_message})"
    return CertificateRefused(detail, host, code)
