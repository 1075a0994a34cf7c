"""The cache and backend steps of a password: one authority, asked in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from auth_backends.api import (
    Accepted,
    Account,
    AuthBackend,
    FrontEnd,
    LockingBackend,
    Password,
    Reason,
    Rejected,
    Unavailable,
    Verdict,
)
from auth_backends.api_keys import looks_like_api_key
from auth_backends.cache import VerdictCache
from auth_backends.case import Case, accepted, refuse, try_later
from auth_backends.passwords import usable
from auth_backends.throttle import Throttle
from storage.database.records import Method, User


class PasswordCheck:
    """Runs after policy: whoever comes here may use a password. Blocking and thread-safe."""

    def __init__(self, backends: Mapping[Method, AuthBackend], throttle: Throttle, cache: VerdictCache) -> None:
        self._backends = dict(backends)
        self._throttle = throttle
        self._cache = cache

    def authority(self, user: User, kind: type) -> AuthBackend:
        """Give the one backend that may judge this kind of credential of this user, or stop: nobody can tell."""
        backend = self._backends.get(user.method)
        if backend is None or kind not in backend.accepts:
            raise try_later(Reason.NO_BACKEND, f"no backend is configured for method {user.method}")
        return backend

    def locking(self, user: User) -> LockingBackend | None:
        """Give the backend of the user's method if it speaks for authorities that lock accounts."""
        backend = self._backends.get(user.method)
        return backend if isinstance(backend, LockingBackend) else None

    def check(self, case: Case, account: Account, password: Password) -> Accepted:
        """Give the yes of the user's authority, or stop. On WebDAV a recent yes is remembered.

        Here, too, a text that is meant as an API key is none: it can also come as the password beside an SSH key.
        """
        if not usable(password.secret) or looks_like_api_key(password.secret):
            raise refuse(Reason.UNUSABLE_PASSWORD)
        backend = self.authority(account.user, Password)
        if case.attempt.front_end is not FrontEnd.WEBDAV:
            return self._settled(case, self._in_turn(case, backend, account, password))
        answer = self._cache.ask(
            account.user,
            case.attempt.front_end,
            password.secret,
            lambda: self._in_turn(case, backend, account, password),
        )
        case.cached = answer.shared
        return self._settled(case, answer.verdict)

    def _in_turn(self, case: Case, backend: AuthBackend, account: Account, password: Password) -> Verdict:
        """Verify while no other password of this user is verified here, and count a failure before the next one."""
        if isinstance(backend, LockingBackend):
            return self._in_place(case, backend, account, password)
        peer = case.attempt.peer
        with self._throttle.turn(account.user.name):
            if (refusal := self._throttle.standing(account.user.name, peer).refusal) is not None:
                case.worked = case.over_limit = True
                raise refuse(refusal, counts=False)
            case.worked = True
            verdict = backend.verify(replace(case.attempt, credential=password), account)
            if isinstance(verdict, Rejected):
                self._throttle.failed(account.user.name, peer)
            return verdict

    def _in_place(self, case: Case, backend: LockingBackend, account: Account, password: Password) -> Verdict:
        """Verify at an authority that locks accounts, within its limit; places are taken over all workers.

        A refusal by the limit costs what a wrong password costs, and counts for the site: until the
        site's own limit is reached, nobody can tell a directory's user from one who does not exist.
        For the authority it does not count, which was not asked.
        """
        taken = self._throttle.take_place(account.user, backend.limit(account))
        if isinstance(taken, Reason):
            raise refuse(taken)
        outcome: bool | None = None
        leaves = True
        try:
            verdict = backend.verify(replace(case.attempt, credential=password), account)
            case.worked = True
            outcome = {Accepted: True, Rejected: False}.get(type(verdict))
            leaves = not (isinstance(verdict, Unavailable) and verdict.perhaps_counted)
        finally:
            if leaves:  # else the place is free again by itself, after a minute
                self._throttle.leave_place(taken, account.user, case.attempt.peer, outcome)
        return verdict

    def _settled(self, case: Case, verdict: Verdict) -> Accepted:
        case.worked = True  # also by waiting for the answer to somebody else's identical question
        case.counted = isinstance(verdict, Rejected)
        return accepted(verdict)
