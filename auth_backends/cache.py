"""A short memory of right passwords, for WebDAV, whose clients send the password with every request.

The memory holds no password: its keys are HMAC-SHA256 under a key that only this process knows,
over user, epoch, front end and password. A raised epoch, another front end or another password
is another key, so nothing has to be looked for and dropped when rights change.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass

from auth_backends.api import Accepted, Clock, FrontEnd, Secret, Unavailable, Verdict
from storage.database.records import User

MAX_AGE_S = 60.0
MAX_ENTRIES = 10_000
WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Remembered:
    """A verdict, and whether it came without a verification of its own."""

    verdict: Verdict
    shared: bool


class VerdictCache:
    """Positive verdicts for at most ``max_age_s`` (0 to 60 s), and one verification at a time per question.

    Thread-safe and bounded. Only Accepted is kept. ``clock`` is monotonic.
    """

    def __init__(
        self,
        max_age_s: float,
        *,
        clock: Clock = time.monotonic,
        max_entries: int = MAX_ENTRIES,
        wait_s: float = WAIT_S,
    ) -> None:
        self._max_age_s = min(max_age_s, MAX_AGE_S)
        self._clock = clock
        self._max_entries = max_entries
        self._wait_s = wait_s
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[Accepted, float]] = OrderedDict()
        self._asked: dict[bytes, Future[Verdict | None]] = {}

    def ask(self, user: User, front_end: FrontEnd, secret: Secret, verify: Callable[[], Verdict]) -> Remembered:
        """Give the remembered verdict, or the one of an identical question in flight, or verify.

        A no is not shared: those who waited for it ask themselves, one after the other, as they
        would for a user who does not exist, or a burst would tell the two apart. What ``verify``
        raises is raised to its own caller only.
        """
        question = self._question(user, front_end, secret)
        while True:
            with self._lock:
                if (kept := self._fresh(question)) is not None:
                    return Remembered(kept, shared=True)
                answer = self._asked.get(question)
                if answer is None:
                    mine: Future[Verdict | None] = Future()
                    self._asked[question] = mine
            if answer is None:
                return Remembered(self._lead(question, mine, verify), shared=False)
            try:
                verdict = answer.result(timeout=self._wait_s)
            except FutureTimeout:
                return Remembered(Unavailable("an identical sign-in takes too long"), shared=True)
            if isinstance(verdict, (Accepted, Unavailable)):
                return Remembered(verdict, shared=True)

    def _lead(self, question: bytes, answer: Future[Verdict | None], verify: Callable[[], Verdict]) -> Verdict:
        verdict: Verdict | None = None
        try:
            verdict = verify()
            return verdict
        finally:
            with self._lock:
                del self._asked[question]
                if isinstance(verdict, Accepted) and self._max_age_s > 0:
                    self._kept[question] = (verdict, self._clock() + self._max_age_s)
                    while len(self._kept) > self._max_entries:
                        self._kept.popitem(last=False)
            answer.set_result(verdict)

    def _fresh(self, question: bytes) -> Accepted | None:
        kept = self._kept.get(question)
        if kept is None:
            return None
        verdict, until = kept
        if self._clock() >= until:
            del self._kept[question]
            return None
        return verdict

    def _question(self, user: User, front_end: FrontEnd, secret: Secret) -> bytes:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (user.id, str(user.epoch), front_end.value, secret.reveal()):
            raw = part.encode()
            mac.update(len(raw).to_bytes(8, "big") + raw)
        return mac.digest()
