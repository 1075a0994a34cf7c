"""Who an assertion speaks of, taken from the signed element alone."""

from __future__ import annotations

from lxml import etree

from auth_backends.saml.documents import NAMES, text_of
from auth_backends.saml.parties import Rules
from auth_backends.sso import Person, SsoReason, SsoRefused

MAX_SUBJECT = 1024


def person_of(assertion: etree._Element, rules: Rules) -> Person:
    """Give the person. NameID is never the subject: Entra ID and others let it follow a name. Raises SsoRefused."""
    claims = _claims(assertion)
    subjects = claims.get(rules.subject_attribute, ())
    if len(subjects) != 1 or not 0 < len(subjects[0]) <= MAX_SUBJECT:
        raise SsoRefused(
            SsoReason.SUBJECT_MISSING, f"the attribute {rules.subject_attribute} has not exactly one value"
        )
    tenants = claims.get(rules.tenant_attribute, ())
    if rules.tenant is not None and tenants != (rules.tenant,):
        raise SsoRefused(SsoReason.WRONG_TENANT, f"the person is of the tenant {', '.join(tenants) or 'of nobody'}")
    return Person(
        subject=subjects[0],
        tenant=tenants[0] if len(tenants) == 1 else None,
        login=_first(claims, rules.login_attribute) or subjects[0],
        display_name=_first(claims, rules.display_name_attribute),
        email=_first(claims, rules.email_attribute),
        groups=_groups(claims, rules),
        claims=claims,
    )


def _groups(claims: dict[str, tuple[str, ...]], rules: Rules) -> frozenset[str] | None:
    """Give the groups; None where there were too many for the provider to name, or where it does not speak of any."""
    if rules.overage_attribute in claims or rules.groups_attribute not in claims:
        return None
    return frozenset(claims[rules.groups_attribute])


def _claims(assertion: etree._Element) -> dict[str, tuple[str, ...]]:
    claims: dict[str, tuple[str, ...]] = {}
    for attribute in assertion.findall("saml:AttributeStatement/saml:Attribute", NAMES):
        name = attribute.get("Name") or ""
        values = tuple(text_of(value) for value in attribute.findall("saml:AttributeValue", NAMES))
        claims[name] = (*claims.get(name, ()), *values)
    return claims


def _first(claims: dict[str, tuple[str, ...]], name: str) -> str:
    return next(iter(claims.get(name, ())), "")
