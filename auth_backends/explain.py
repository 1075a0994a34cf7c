"""Why can't she log in? What the broker would say to a right credential, step by step, without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from auth_backends import policy
from auth_backends.api import Account, Address, Factor, FrontEnd, LockingBackend, Reason
from auth_backends.case import GUESSABLE
from auth_backends.scope import api_key_problem, ssh_key_problem
from auth_backends.throttle import Throttle
from storage.database.names import canonical_login, shown
from storage.database.records import Method, User
from storage.database.store import InvalidName, Store


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would happen. ``reason`` is GRANTED or why not; ``steps`` tell people each step taken."""

    allowed: bool
    reason: Reason
    steps: tuple[str, ...]


class _End(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Explainer:
    """Walks the broker's own order with the broker's own functions. No side effects."""

    def __init__(
        self,
        store: Store,
        throttle: Throttle,
        configured: frozenset[Method],
        facts: Callable[[Address | None], policy.Facts],
        locking: Callable[[User], LockingBackend | None],
    ) -> None:
        self._store = store
        self._throttle = throttle
        self._configured = configured
        self._facts = facts
        self._locking = locking

    def explain(self, username: str, front_end: FrontEnd, kind: Factor, peer: Address) -> Explanation:
        """Say what a right credential of this kind would meet there and from there. Raises StoreError."""
        steps: list[str] = []
        try:
            name = self._name(username, steps)
            self._limits(name, kind, peer, steps)
            user = self._user(name, steps)
            if user.name != name:  # an alias: one person has one counter
                self._limits(user.name, kind, peer, steps)
            self._policy(user, front_end, kind, peer, steps)
            self._credential(user, front_end, kind, peer, steps)
            self._second_factor(user, front_end, kind, steps)
        except _End as end:
            return Explanation(allowed=False, reason=end.reason, steps=tuple(steps))
        steps.append("verdict: a right credential is let in")
        return Explanation(allowed=True, reason=Reason.GRANTED, steps=tuple(steps))

    def _name(self, username: str, steps: list[str]) -> str:
        try:
            name = canonical_login(username)
        except InvalidName as error:
            steps.append(f"name: {shown(username)!r} can be nobody's login name. {error.message}")
            raise _End(Reason.BAD_NAME) from None
        steps.append(f"name: {name!r}")
        return name

    def _limits(self, name: str, kind: Factor, peer: Address, steps: list[str]) -> None:
        standing = self._throttle.standing(name if kind in GUESSABLE else None, peer)
        if standing.refusal is Reason.THROTTLED_NETWORK:
            steps.append(f"limits: too many failures from the network of {peer}; wait for the window to pass")
            raise _End(standing.refusal)
        if standing.refusal is not None:
            steps.append(f"limits: {standing.user_failures} failed passwords of this user; wait for the window to pass")
            raise _End(standing.refusal)
        steps.append("limits: not reached")

    def _user(self, name: str, steps: list[str]) -> User:
        user = self._store.users.by_login(name)
        if user is None:
            reserved = self._store.users.names_reserved(name)
            steps.append("account: there is no such user" + (" any more; the name is reserved" if reserved else ""))
            raise _End(Reason.UNKNOWN_USER)
        steps.append(f"account: {user.status}, method {user.method}" + (", break-glass" if user.break_glass else ""))
        return user

    def _policy(self, user: User, front_end: FrontEnd, kind: Factor, peer: Address, steps: list[str]) -> None:
        reason = policy.admit(user, front_end, kind, self._facts(peer))
        if reason is not None:
            steps.append(f"policy: {kind} on {front_end} from {peer} is refused before any check: {reason}")
            raise _End(reason)
        steps.append(f"policy: {kind} on {front_end} from {peer} may be checked")

    def _credential(self, user: User, front_end: FrontEnd, kind: Factor, peer: Address, steps: list[str]) -> None:
        match kind:
            case Factor.PASSWORD:
                self._password(user, steps)
            case Factor.PUBLIC_KEY:
                self._ssh_keys(user, peer, steps)
            case Factor.KEY_AND_PASSWORD:
                self._ssh_keys(user, peer, steps)
                self._password(user, steps)
            case Factor.API_KEY:
                self._api_keys(user, front_end, peer, steps)
            case Factor.SSO:
                self._configured_backend(user, steps)
                self._link(user, steps)
            case _:
                assert_never(kind)

    def _password(self, user: User, steps: list[str]) -> None:
        self._configured_backend(user, steps)
        if user.method not in {Method.LOCAL, Method.LOCAL_KEY}:
            if user.provider is not None:
                self._link(user, steps)
            backend = self._locking(user)
            if backend is not None and self._throttle.authority_refuses(user, backend.limit(Account(user))):
                steps.append("limits: one more wrong password could lock the account in the directory; wait")
                raise _End(Reason.THROTTLED_USER)
            steps.append("password: the directory decides")
            return
        if self._store.credentials.password(user.id) is None:
            steps.append("password: none is set, so none is right")
            raise _End(Reason.NO_PASSWORD_SET)
        steps.append("password: one is set")

    def _configured_backend(self, user: User, steps: list[str]) -> None:
        if user.method not in self._configured:
            steps.append(f"backend: none is configured for method {user.method}; the client is told to try later")
            raise _End(Reason.NO_BACKEND)
        backend = self._locking(user)
        if backend is not None and not backend.knows(Account(user)):
            whose = f"the provider {user.provider!r} is not configured" if user.provider else "the user has no provider"
            steps.append(f"backend: {whose}; the client is told to try later")
            raise _End(Reason.NO_BACKEND)
        steps.append(f"backend: {user.method}")

    def _ssh_keys(self, user: User, peer: Address, steps: list[str]) -> None:
        facts = self._facts(peer)
        problems = {
            f"{key.fingerprint} {key.title}".rstrip(): ssh_key_problem(
                key, peer, facts.now, min_rsa_bits=facts.min_rsa_bits
            )
            for key in self._store.credentials.ssh_keys_of(user.id)
        }
        _one_of(problems, "SSH key", Reason.UNKNOWN_KEY, steps)

    def _api_keys(self, user: User, front_end: FrontEnd, peer: Address, steps: list[str]) -> None:
        now = self._facts(peer).now
        problems = {
            f"{key.id} {key.title}".rstrip(): api_key_problem(key, front_end, peer, now)
            for key in self._store.credentials.api_keys_of(user.id)
        }
        _one_of(problems, "API key", Reason.UNKNOWN_API_KEY, steps)

    def _link(self, user: User, steps: list[str]) -> None:
        linked = any(identity.provider == user.provider for identity in self._store.users.identities_of(user.id))
        if not linked:
            steps.append(f"link: the user is not linked to a person at {user.provider or 'any provider'}")
            raise _End(Reason.NOT_LINKED)
        steps.append(f"link: {user.provider}")

    def _second_factor(self, user: User, front_end: FrontEnd, kind: Factor, steps: list[str]) -> None:
        if front_end is FrontEnd.PORTAL and kind is Factor.PASSWORD and (user.break_glass or user.totp_enrolled):
            steps.append("second factor: the portal asks for a TOTP code after the password")
            if not user.totp_enrolled:
                steps.append("second factor: none is enrolled")
                raise _End(Reason.TOTP_REQUIRED)


def _one_of(problems: dict[str, Reason | None], what: str, none: Reason, steps: list[str]) -> None:
    """Tell of each key whether it would do; the reason is the last key's if none does."""
    if not problems:
        steps.append(f"credential: the user has no {what}")
        raise _End(none)
    steps.extend(f"credential: {what} {name}: {problem or 'would do'}" for name, problem in problems.items())
    if all(problems.values()):
        raise _End([problem for problem in problems.values() if problem is not None][-1])
