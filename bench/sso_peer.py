"""The peer of bench.sso: python3-saml alone, as a site would use it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import urlsplit

from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from auth_backends.saml.parties import IdentityProvider, ServiceProvider


def peer(idp: IdentityProvider, sp: ServiceProvider, request_id: str) -> Callable[[str], object]:
    """Give what verifies a response and reads its attributes; the settings are made once, strict, SHA-1 refused."""
    settings = OneLogin_Saml2_Settings(
        {
            "strict": True,
            "sp": {
                "entityId": sp.entity_id,
                "assertionConsumerService": {"url": sp.acs_url},
                "x509cert": sp.certificate_pem,
                "privateKey": sp.private_key_pem.reveal(),
            },
            "idp": {
                "entityId": idp.entity_id,
                "singleSignOnService": {"url": idp.sso_url},
                "x509cert": base64.b64encode(idp.certificates[0]).decode("ascii"),
            },
            "security": {"wantAssertionsSigned": True, "rejectDeprecatedAlgorithm": True},
        }
    )
    place = urlsplit(sp.acs_url)
    request = {"https": "on", "http_host": place.netloc, "script_name": place.path, "get_data": {}, "post_data": {}}

    def verify(response: str) -> object:
        read = OneLogin_Saml2_Response(settings, response)
        if not read.is_valid(request, request_id):
            raise AssertionError(read.get_error())
        return read.get_attributes()

    return verify
