"""The decision table: who may use which kind of credential where. Pure: no I/O and no secret.

One function per row or column of the table in the README, asked in the order in which ``admit``
names them. Everything here runs before a backend, a cache or a hash sees the credential.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from auth_backends.api import (
    Address,
    ApiKeyToken,
    Credential,
    Factor,
    FrontEnd,
    Password,
    Principal,
    PublicKey,
    Reason,
    SsoAssertion,
)
from auth_backends.scope import api_key_problem, in_networks, ssh_key_problem
from storage.database.records import ApiKey, Method, SshKey, Status, User

PASSWORD_FRONT_ENDS = frozenset({FrontEnd.SFTP, FrontEnd.FTPS, FrontEnd.WEBDAV, FrontEnd.PORTAL})
"""Where a password may be right at all; the REST API takes API keys only."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the table needs to know besides the user: ``now`` in Unix seconds, where from, the site's rules.

    ``peer`` None means that the place is not known and is not judged.
    """

    now: float
    peer: Address | None
    password_without_totp: bool = False
    min_rsa_bits: int = 2048


def kind_of(credential: Credential) -> Factor:
    """Name the column of the table that a credential belongs to."""
    match credential:
        case Password():
            return Factor.PASSWORD
        case PublicKey(second=None):
            return Factor.PUBLIC_KEY
        case PublicKey():
            return Factor.KEY_AND_PASSWORD
        case ApiKeyToken():
            return Factor.API_KEY
        case SsoAssertion():
            return Factor.SSO
        case _:
            assert_never(credential)


def admit(user: User, front_end: FrontEnd, kind: Factor, facts: Facts) -> Reason | None:
    """Say why this user may not use this kind of credential here, or None.

    A refusal means that the secret was never compared, hashed, cached or sent anywhere.
    """
    return (
        _sso_password(user, kind)
        or _standing(user, facts)
        or _break_glass(user, front_end, kind)
        or _place(user, front_end, facts)
        or _cell(user.method, front_end, kind)
        or _totp(user, front_end, kind, facts)
    )


def still_valid(
    user: User | None, principal: Principal, credential: SshKey | ApiKey | None, facts: Facts
) -> Reason | None:
    """Say why a live session must end, or None; asks the whole table again with the present rows.

    ``credential`` is the present row of the key that opened the session, or None if there is none.
    """
    if user is None:
        return Reason.UNKNOWN_USER
    front_end = principal.front_end
    refused = (
        _sso_password(user, principal.factor) or _standing(user, facts)
        if front_end is None
        else admit(user, front_end, principal.factor, facts)
    )
    return refused or _authority_changed(user, principal) or _credential_problem(user, principal, credential, facts)


def _authority_changed(user: User, principal: Principal) -> Reason | None:
    """What another authority said of the password or the assertion proves nothing to the present one."""
    own_key = principal.factor in {Factor.PUBLIC_KEY, Factor.API_KEY}
    return None if own_key or user.method is principal.user.method else Reason.METHOD_CHANGED


def _credential_problem(
    user: User, principal: Principal, credential: SshKey | ApiKey | None, facts: Facts
) -> Reason | None:
    match principal.factor:
        case Factor.PASSWORD | Factor.SSO:
            return None
        case Factor.PUBLIC_KEY | Factor.KEY_AND_PASSWORD:
            if not isinstance(credential, SshKey) or credential.user_id != user.id:
                return Reason.UNKNOWN_KEY
            return ssh_key_problem(credential, facts.peer, facts.now, min_rsa_bits=facts.min_rsa_bits)
        case Factor.API_KEY:
            if not isinstance(credential, ApiKey) or credential.user_id != user.id:
                return Reason.UNKNOWN_API_KEY
            return api_key_problem(credential, principal.front_end, facts.peer, facts.now)
        case _:
            assert_never(principal.factor)


def _sso_password(user: User, kind: Factor) -> Reason | None:
    """The rule of the product: an SSO user's password is refused everywhere, and first of all."""
    if user.method.is_sso and kind in {Factor.PASSWORD, Factor.KEY_AND_PASSWORD}:
        return Reason.SSO_PASSWORD_REFUSED
    return None


def _standing(user: User, facts: Facts) -> Reason | None:
    if user.status is not Status.ACTIVE:
        return Reason.NOT_ACTIVE
    if user.expires_at is not None and facts.now >= user.expires_at:
        return Reason.EXPIRED
    return None


def _break_glass(user: User, front_end: FrontEnd, kind: Factor) -> Reason | None:
    """An emergency account signs in at the portal, with its password and TOTP, and nowhere else.

    Its keys are refused too: a standing key would be a way in without the alarm.
    """
    if user.break_glass and (front_end is not FrontEnd.PORTAL or kind is not Factor.PASSWORD):
        return Reason.BREAK_GLASS_NOT_HERE
    return None


def _place(user: User, front_end: FrontEnd, facts: Facts) -> Reason | None:
    if user.protocols and front_end.value not in user.protocols:
        return Reason.FRONT_END_NOT_ALLOWED
    if facts.peer is not None and not in_networks(facts.peer, user.networks):
        return Reason.NETWORK_NOT_ALLOWED
    return None


def _cell(method: Method, front_end: FrontEnd, kind: Factor) -> Reason | None:
    match kind:
        case Factor.PASSWORD:
            return _password(method, front_end)
        case Factor.PUBLIC_KEY:
            return _key(method, front_end)
        case Factor.KEY_AND_PASSWORD:
            return _key_and_password(method, front_end)
        case Factor.API_KEY:
            return Reason.CREDENTIAL_NOT_FOR_FRONT_END if front_end is FrontEnd.PORTAL else None
        case Factor.SSO:
            return _sso(method, front_end)
        case _:
            assert_never(kind)


def _password(method: Method, front_end: FrontEnd) -> Reason | None:
    match method:
        case Method.LOCAL | Method.LDAP:
            return None if front_end in PASSWORD_FRONT_ENDS else Reason.CREDENTIAL_NOT_FOR_FRONT_END
        case Method.LOCAL_KEY:
            return Reason.NEEDS_KEY_AND_PASSWORD
        case Method.SAML | Method.OIDC:
            return Reason.SSO_PASSWORD_REFUSED
        case Method.NONE:
            return Reason.METHOD_HAS_NO_PASSWORD
        case _:
            assert_never(method)


def _key(method: Method, front_end: FrontEnd) -> Reason | None:
    if front_end is not FrontEnd.SFTP:
        return Reason.CREDENTIAL_NOT_FOR_FRONT_END
    return Reason.NEEDS_KEY_AND_PASSWORD if method is Method.LOCAL_KEY else None


def _key_and_password(method: Method, front_end: FrontEnd) -> Reason | None:
    """Both together are for ``local+key``; elsewhere a password beside a key is a mistake, not a bonus."""
    if front_end is not FrontEnd.SFTP:
        return Reason.CREDENTIAL_NOT_FOR_FRONT_END
    match method:
        case Method.LOCAL_KEY:
            return None
        case Method.LOCAL | Method.LDAP:
            return Reason.PASSWORD_NOT_EXPECTED
        case Method.SAML | Method.OIDC:
            return Reason.SSO_PASSWORD_REFUSED
        case Method.NONE:
            return Reason.METHOD_HAS_NO_PASSWORD
        case _:
            assert_never(method)


def _sso(method: Method, front_end: FrontEnd) -> Reason | None:
    if front_end is not FrontEnd.PORTAL:
        return Reason.CREDENTIAL_NOT_FOR_FRONT_END
    return None if method.is_sso else Reason.NOT_LINKED


def _totp(user: User, front_end: FrontEnd, kind: Factor, facts: Facts) -> Reason | None:
    """A password alone does not let an enrolled user in on a protocol; the portal asks for the code itself."""
    if kind is Factor.PASSWORD and user.totp_enrolled and front_end.is_protocol and not facts.password_without_totp:
        return Reason.TOTP_REQUIRED
    return None
