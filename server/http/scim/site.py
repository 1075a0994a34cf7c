"""What the verbs of SCIM work on: one provider's people and groups, and how the store's refusals reach its client."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from config.sso import SsoProvider
from server.http.scim.errors import ScimError
from storage.database.changes import Applied, Change
from storage.database.scim_changes import EndLimit
from storage.database.store import (
    Conflict,
    Held,
    InvalidChange,
    NotFoundInStore,
    Stale,
    Store,
    Taken,
)

log = structlog.get_logger(__name__)

HELD_RETRY_S = 3600
TOKEN_SHOWN = 8  # digits of a token's id, enough to tell a provider's tokens apart
TRIES = 40  # of a change whose row others change at the same time
TURN_S = 0.05  # the longest wait between two of them


class EndHeld(ScimError):
    """The circuit breaker holds an end until an admin has approved it; the client is to come again."""

    def __init__(self) -> None:
        super().__init__(503, "Too many people would lose access within a day; an administrator must approve it.")


@dataclass(frozen=True, slots=True)
class ProviderSite:
    """One provider as its client sees it. ``base`` is the URL that ``/Users`` follows."""

    store: Store
    name: str
    provider: SsoProvider
    base: str
    clock: Callable[[], float]
    token_id: str = ""

    @property
    def actor(self) -> str:
        """Who changes something, for the audit trail: the provider, and by which of its tokens."""
        return f"scim:{self.name}#{self.token_id[:TOKEN_SHOWN]}" if self.token_id else f"scim:{self.name}"

    @property
    def limit(self) -> EndLimit:
        """How many people the client may put out without an admin's word."""
        return EndLimit(self.provider.max_disabled_count, self.provider.max_disabled_percent)

    def apply(self, change: Change) -> Applied:
        """Make one change. Raises ScimError in the protocol's terms, or Held, Stale, StoreUnavailable."""
        try:
            return self.store.apply(change, actor=self.actor)
        except (Held, Stale):
            raise
        except NotFoundInStore as error:
            raise ScimError(404, error.message) from None
        except Taken as error:
            raise ScimError(409, error.message, "uniqueness") from error
        except Conflict as error:
            raise ScimError(409, error.message, "uniqueness") from None
        except InvalidChange as error:
            raise ScimError(400, error.message, "invalidValue") from None

    def held(self, user_id: str, action: str, error: Held) -> EndHeld:
        """Remember an end that waits for an admin, raise the alarm once, and give the refusal for the client."""
        user = self.store.users.by_id(user_id)
        name = user_id if user is None else user.name
        if self.store.scim_waiting.hold(self.name, user_id, action, error.message, self.clock()):
            self.store.audit.add(
                "scim.end_held",
                self.actor,
                name,
                "held",
                "circuit-breaker",
                front_end="scim",
                detail={"action": action},
            )
            log.error("scim.end_held", provider=self.name, user=name, action=action, why=error.message)
        return EndHeld()


def wait_a_turn(tries: int) -> None:
    """Let others who change the same row come through; longer and by chance, the more often it was in vain."""
    time.sleep(random.uniform(0, min(TURN_S, 0.002 * (tries + 1))))  # noqa: S311 - nobody's secret


def checked_version(expected: frozenset[str] | None, version: int) -> None:
    """Raise ScimError 412 unless the client's If-Match, if there is one, names this version."""
    if expected is not None and str(version) not in expected:
        raise ScimError(412, "The resource has been changed since; read it again.")
