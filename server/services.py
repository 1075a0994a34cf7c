"""What a front end gets from the composition root, and what it owes the process that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from config.settings import Settings
from server.sessions import Sessions
from server.sign_in import SignIn
from server.workspaces import Workspaces
from storage.database.store import Store

if TYPE_CHECKING:
    from server.sso.desk import SingleSignOn


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Private keys and certificates on disk: PEM, PKCS#8, mode 0600."""

    ssh_host_keys: tuple[Path, ...]
    tls_certificate: Path
    tls_key: Path


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a front end may use."""

    settings: Settings
    keys: KeyFiles
    sign_in: SignIn
    sessions: Sessions
    store: Store
    workspaces: Workspaces
    single_sign_on: Callable[[], SingleSignOn] = field(repr=False)
    """Makes the portal's sign-in when it is first needed: its libraries are heavy, and only http workers use it."""
    look_after_sign_in: Callable[[float], None] = field(repr=False)
    """Refreshes what identity providers say of themselves, and warns of what ends; given Unix seconds."""


class Control(Protocol):
    """The worker process around a front end's ``run(services, sockets, control)``.

    ``run`` calls ``ready`` once it accepts connections. On SIGTERM the callback given to
    ``on_drain`` is called once, from another thread, with the grace in seconds: the front end
    stops accepting at once, lets running transfers end within the grace, aborts the rest, and
    ``run`` returns.
    """

    def ready(self) -> None:
        """Tell the supervisor that connections are accepted."""

    def on_drain(self, callback: Callable[[float], None]) -> None:
        """Name what to call on SIGTERM; called at once if it came already."""
