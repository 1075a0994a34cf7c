"""The only way in: every front end asks here, and gets one Decision and one audit event per attempt.

The order is fixed, one function a step: canonical name, throttle, account, policy (before anything
sees the secret), cache, backend, second factor, re-check, audit. "Cannot tell" at any step is
TryLater: it counts against nobody and no other backend is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import assert_never

import structlog

from auth_backends import policy, report
from auth_backends.accounts import Accounts, login_name
from auth_backends.api import (
    Accepted,
    Account,
    Address,
    ApiKeyToken,
    Attempt,
    AuthBackend,
    Clock,
    Decision,
    Factor,
    FrontEnd,
    Granted,
    Password,
    Principal,
    PublicKey,
    Reason,
    Refused,
    Secret,
    SsoAssertion,
    TryLater,
)
from auth_backends.cache import VerdictCache
from auth_backends.case import GUESSABLE, Case, Stop, accepted, refuse
from auth_backends.explain import Explainer, Explanation
from auth_backends.password_check import PasswordCheck
from auth_backends.passwords import HasherBusy, PasswordHasher
from auth_backends.scope import ssh_key_problem
from auth_backends.throttle import Throttle, TurnTimeout
from auth_backends.totp import CodeAnswer, TotpCodes
from config.settings import AuthSettings
from storage.database.names import canonical_login
from storage.database.records import ApiKey, Method, SshKey, Status, User
from storage.database.store import InvalidName, Store, StoreError

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 5.0


class Broker:
    """Blocking and thread-safe; one per process.

    ``backends`` names the one authority of each method; a method without one gives TryLater
    (NO_BACKEND), since nobody can tell whether its passwords are right. ``floor_s`` gives the
    seconds that a refused password takes at least; ``pause`` waits. Without ``totp`` nobody's one-time
    code is right.
    """

    def __init__(
        self,
        store: Store,
        backends: Mapping[Method, AuthBackend],
        *,
        ssh_keys: AuthBackend,
        api_keys: AuthBackend,
        hasher: PasswordHasher,
        settings: AuthSettings,
        clock: Clock = time.time,
        cache: VerdictCache | None = None,
        floor_s: Callable[[], float] = lambda: 0.0,
        pause: Callable[[float], object] = time.sleep,
        totp: TotpCodes | None = None,
    ) -> None:
        self._store = store
        self._accounts = Accounts(store)
        self._ssh_keys = ssh_keys
        self._api_keys = api_keys
        self._hasher = hasher
        self._settings = settings
        self._clock = clock
        self._throttle = Throttle(store.throttle, settings, clock)
        self._passwords = PasswordCheck(backends, self._throttle, cache or VerdictCache(settings.webdav_cache_s))
        self._floor_s = floor_s
        self._pause = pause
        self._totp = totp
        self._explainer = Explainer(store, self._throttle, frozenset(backends), self._facts, self._passwords.locking)

    def authenticate(self, attempt: Attempt) -> Decision:
        """Decide on one attempt. Never raises; writes one audit event (and an alarm's), or gives TryLater if it cannot.

        Every refusal of a password costs one hash, whatever the reason, except those of the throttle.
        """
        began = time.monotonic()
        case = Case(attempt, policy.kind_of(attempt.credential))
        decision = self._failing_closed(case, lambda: self._decide(case))
        evened = self._failing_closed(case, lambda: self._evened_out(case, decision))
        recorded = self._failing_closed(case, lambda: self._recorded(case, evened))
        report.tell(case, recorded)
        self._hold_back(case, recorded, began)
        return recorded

    def would_accept(self, username: str, algorithm: str, blob: bytes, peer: Address) -> bool:  # noqa: ARG002 - the blob names its own type (RFC 4253 section 6.6)
        """Whether this SSH key, once its signature is proved, is a way in for this user on SFTP.

        For ``local+key`` users it is the first half. No side effects: no count, no audit event, no
        last use. Raises StoreError if nobody can tell: drop the connection.
        """
        return self._half_or_whole(username, blob, peer) is not None

    def key_needs_password(self, username: str, blob: bytes, peer: Address) -> bool:
        """Whether a password must follow this key, whose signature is proved (``local+key``).

        The front end then asks for it and sends both in one PublicKey. No side effects; the same
        look-ups for unknown users. Raises StoreError if nobody can tell.
        """
        return self._half_or_whole(username, blob, peer) is Factor.KEY_AND_PASSWORD

    def still_valid(self, user: User | None, principal: Principal) -> Reason | None:
        """Say why a live session of this principal must end, given the user's present row, or None.

        Reads the row of the key, or of the password, that let the session in. Raises StoreError.
        """
        facts = self._facts(principal.peer)
        key = self._present_credential(principal)
        return policy.still_valid(user, principal, key, facts) or self._password_changed(principal)

    def explain(self, username: str, front_end: FrontEnd, kind: Factor, peer: Address) -> Explanation:
        """Say what would happen to a right credential of this kind, and why, without a secret. Raises StoreError."""
        return self._explainer.explain(username, front_end, kind, peer)

    # The steps --------------------------------------------------------------------------------------

    def _decide(self, case: Case) -> Decision:
        self._name(case)
        self._throttled(case)
        account = self._account(case)
        self._policy(case, account)
        first = self._first_factor(case, account)
        both = self._second_factor(case, account, first)
        return self._rechecked(case, account, both)

    def _name(self, case: Case) -> None:
        try:
            case.name = login_name(case.attempt.credential)
        except InvalidName:
            self._throttled(case)  # else names that are none would get round the network's limit
            raise refuse(Reason.BAD_NAME) from None

    def _throttled(self, case: Case) -> None:
        """Stop an attempt that is over a limit; it costs no hash, for known and unknown users alike."""
        standing = self._throttle.standing(case.throttle_name, case.attempt.peer)
        if standing.refusal is not None:
            case.worked = case.over_limit = True
            raise refuse(standing.refusal, counts=False)
        case.user_failures = standing.user_failures

    def _account(self, case: Case) -> Account:
        found = self._accounts.find(case.attempt.credential, case.name)
        if isinstance(found, Reason):
            if case.kind is Factor.API_KEY:
                self._api_keys.spend(case.attempt)
            raise refuse(found)
        case.account = found
        if case.name is not None and case.name != found.user.name:  # an alias: one person has one counter
            case.name = found.user.name
            self._throttled(case)
        return found

    def _policy(self, case: Case, account: Account) -> None:
        reason = policy.admit(account.user, case.attempt.front_end, case.kind, self._facts(case.attempt.peer))
        if reason is Reason.NEEDS_KEY_AND_PASSWORD and case.kind is Factor.PUBLIC_KEY:
            accepted(self._ssh_keys.verify(case.attempt, account))  # a key that is not the user's is half of nothing
            raise refuse(reason, counts=False)
        if reason is not None:
            raise refuse(reason)

    def _first_factor(self, case: Case, account: Account) -> Accepted:
        """Ask the one authority for this credential; for passwords, cache first."""
        match case.attempt.credential:
            case Password() as password:
                return self._passwords.check(case, account, replace(password, code=None))
            case PublicKey():
                return accepted(self._ssh_keys.verify(case.attempt, account))
            case ApiKeyToken():
                return accepted(self._api_keys.verify(case.attempt, account))
            case SsoAssertion():
                return accepted(self._passwords.authority(account.user, SsoAssertion).verify(case.attempt, account))
            case _:
                assert_never(case.attempt.credential)

    def _second_factor(self, case: Case, account: Account, first: Accepted) -> Accepted:
        """Ask for what else must hold: the password beside the key, or a TOTP code at the portal."""
        credential, user = case.attempt.credential, account.user
        if isinstance(credential, PublicKey) and credential.second is not None:
            password = self._passwords.check(case, account, Password(credential.username, credential.second))
            return replace(first, factor=Factor.KEY_AND_PASSWORD, password_version=password.password_version)
        at_portal = case.attempt.front_end is FrontEnd.PORTAL
        if at_portal and isinstance(credential, Password) and (user.break_glass or user.totp_enrolled):
            self._code(case, user, credential.code)
        return first

    def _code(self, case: Case, user: User, code: Secret | None) -> None:
        """Use up a one-time code, or stop. In the user's turn, so that a burst of guesses meets the limit."""
        if code is None or self._totp is None:
            raise refuse(Reason.TOTP_REQUIRED, counts=False)
        with self._throttle.turn(user.name):
            if (refusal := self._throttle.standing(user.name, case.attempt.peer).refusal) is not None:
                case.over_limit = True
                raise refuse(refusal, counts=False)
            answer = self._totp.use(user.id, code, self._clock())
            if answer is CodeAnswer.NOT_ENROLLED:
                raise refuse(Reason.TOTP_REQUIRED, counts=False)
            if answer is not CodeAnswer.RIGHT:
                self._throttle.failed(user.name, case.attempt.peer)
                note = "the code, or a later one, was used before" if answer is CodeAnswer.USED else ""
                raise Stop(Refused(Reason.WRONG_CODE), counts=False, note=note)  # it is counted

    def _rechecked(self, case: Case, account: Account, accepted: Accepted) -> Granted:
        """Grant, unless the user's rights or credentials changed while they were being checked."""
        user = self._store.users.by_id(account.user.id)
        if user is None or user.epoch != account.user.epoch or user.status is not Status.ACTIVE:
            raise refuse(Reason.CHANGED_MEANWHILE, counts=False)
        now = self._clock()
        match account.credential:
            case SshKey():
                self._store.credentials.touch_ssh_key(account.credential.id, now)
            case ApiKey():
                self._store.credentials.touch_api_key(account.credential.id, now)
            case None:
                pass
        # A password that another front end took without the code forgives no wrong codes.
        whole = not user.totp_enrolled or case.attempt.front_end is FrontEnd.PORTAL
        if case.kind in GUESSABLE and case.user_failures and not case.cached and whole:
            self._throttle.succeeded(user.name)
        return _granted(user, account.credential, accepted, case.attempt)

    # The ends ---------------------------------------------------------------------------------------

    def _evened_out(self, case: Case, decision: Decision) -> Decision:
        """Make a refusal cost what any other costs, and count it."""
        if not isinstance(decision, Refused):
            return decision
        if case.kind in GUESSABLE and not case.worked:
            return self._pretended(case, decision)
        if not case.counted:
            self._throttle.failed(case.throttle_name, case.attempt.peer)
        return decision

    def _hold_back(self, case: Case, decision: Decision, began: float) -> None:
        """Let a refused password take as long as any other: a bind takes longer than a hash, and would tell."""
        if isinstance(decision, Refused) and case.kind in GUESSABLE and not case.over_limit:
            try:
                left_s = self._floor_s() - (time.monotonic() - began)
            except StoreError:
                return
            if left_s > 0:
                self._pause(left_s)

    def _pretended(self, case: Case, decision: Refused) -> Refused:
        """Do what a wrong password costs, without the password: take the turn, hash a fixed text, count.

        In the turn, too, so that a burst meets the limit after as many hashes as for any other name.
        """
        with self._throttle.turn(case.name or ""):
            self._throttled(case)
            self._hasher.spend()
            self._throttle.failed(case.throttle_name, case.attempt.peer)
        return decision

    def _recorded(self, case: Case, decision: Decision) -> Decision:
        report.record(self._store, case, decision)
        return decision

    def _failing_closed(self, case: Case, step: Callable[[], Decision]) -> Decision:
        try:
            return step()
        except Stop as stop:
            case.counted = case.counted or not stop.counts
            case.note = stop.note
            return stop.decision
        except StoreError as error:
            case.note = type(error).__name__
            return TryLater(Reason.STORE_UNAVAILABLE, RETRY_AFTER_S)
        except (HasherBusy, TurnTimeout) as error:
            case.note = str(error)
            return TryLater(Reason.BACKEND_UNAVAILABLE, RETRY_AFTER_S)
        except Exception as error:  # noqa: BLE001 - whatever a backend does, nobody comes in by it
            case.note = type(error).__name__
            log.error("sign_in.failed", error=type(error).__name__, at=report.where(error), attempt=case.attempt.id)  # noqa: TRY400 - a traceback could show a secret
            return TryLater(Reason.INTERNAL_ERROR, RETRY_AFTER_S)

    # Present rows -----------------------------------------------------------------------------------

    def _facts(self, peer: Address | None) -> policy.Facts:
        return policy.Facts(
            self._clock(),
            peer,
            password_without_totp=self._settings.password_without_totp,
            min_rsa_bits=self._settings.min_rsa_bits,
        )

    def _half_or_whole(self, username: str, blob: bytes, peer: Address) -> Factor | None:
        """Say what an offered key is for its user on SFTP: the way in, one half of it, or nothing (None)."""
        try:
            found = self._accounts.of_key(canonical_login(username), blob)
        except InvalidName:
            return None
        if isinstance(found, Reason) or not isinstance(found.credential, SshKey):
            return None
        kind = Factor.KEY_AND_PASSWORD if found.user.method is Method.LOCAL_KEY else Factor.PUBLIC_KEY
        facts = self._facts(peer)
        refused = policy.admit(found.user, FrontEnd.SFTP, kind, facts) or ssh_key_problem(
            found.credential, peer, facts.now, min_rsa_bits=facts.min_rsa_bits
        )
        return None if refused else kind

    def _present_credential(self, principal: Principal) -> SshKey | ApiKey | None:
        if principal.credential_id is None:
            return None
        if principal.factor is Factor.API_KEY:
            return self._store.credentials.api_key(principal.credential_id)
        return self._store.credentials.ssh_key(principal.credential_id)

    def _password_changed(self, principal: Principal) -> Reason | None:
        if principal.password_version is None:
            return None
        password = self._store.credentials.password(principal.user.id)
        same = password is not None and password.changed_at == principal.password_version
        return None if same else Reason.PASSWORD_CHANGED


def _granted(user: User, credential: SshKey | ApiKey | None, yes: Accepted, attempt: Attempt) -> Granted:
    principal = Principal(
        user,
        yes.factor,
        yes.credential_id,
        read_only=credential is not None and credential.read_only,
        path_prefixes=credential.path_prefixes if isinstance(credential, ApiKey) else (),
        front_end=attempt.front_end,
        peer=attempt.peer,
        password_version=yes.password_version,
    )
    key_ends = None if credential is None else credential.expires_at
    ends = [at for at in (user.expires_at, key_ends) if at is not None]
    return Granted(principal, min(ends, default=None), user.epoch)
