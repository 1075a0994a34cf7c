"""The schema of SAML 2.0's protocol, read once for each thread."""

from __future__ import annotations

import threading
from pathlib import Path

import onelogin.saml2
from lxml import etree

from auth_backends.sso import SsoReason, SsoRefused

_FILE = Path(onelogin.saml2.__file__).with_name("schemas") / "saml-schema-protocol-2.0.xsd"


class _Kept(threading.local):
    """An lxml schema keeps the errors of its last run, so that threads cannot share one."""

    schema: etree.XMLSchema | None = None


_KEPT = _Kept()


def check_schema(root: etree._Element) -> None:
    """Refuse a message that breaks the schema. Raises SsoRefused."""
    schema = _KEPT.schema
    if schema is None:
        schema = _KEPT.schema = etree.XMLSchema(etree.parse(_FILE, etree.XMLParser(no_network=True)))
    if not schema.validate(root):
        raise SsoRefused(SsoReason.MALFORMED, "the message breaks the schema of SAML")
