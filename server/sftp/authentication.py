"""Sign-in over SSH: what a client may try, how often, and who is let in (asyncssh 2.24.1)."""

# ruff: noqa: ARG002 - the signatures are asyncssh's

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar, cast, final

import asyncssh
import structlog
from asyncssh import ChannelOpenError, SSHServerConnection
from asyncssh.auth import KbdIntChallenge
from asyncssh.packet import PacketDecodeError, SSHPacket
from asyncssh.public_key import KeyImportError, SSHKey, decode_ssh_public_key

from auth_backends.api import (
    PUBLIC_UNAVAILABLE,
    Credential,
    FrontEnd,
    PublicKey,
    Reason,
    Refused,
    Secret,
    TryLater,
)
from auth_backends.credentials import credential_from_password
from server.sftp.algorithms import SIGNATURES
from server.sftp.channel import SftpChannel, SftpSession
from server.sftp.client import Client
from server.sftp.connection import Connection
from server.sftp.site import Site
from storage.files.errors import SessionEnded

if TYPE_CHECKING:
    from server.sessions import Session

log = structlog.get_logger(__name__)

T = TypeVar("T")

TOO_MANY_ATTEMPTS: Final = "Too many authentication failures."
_PROMPT: Final[KbdIntChallenge] = ("", "", "", (("Password: ", False),))
_MAX_PASSWORD: Final = 4096  # bytes; argon2 and directories take less


@dataclass(frozen=True, slots=True)
class ProvedKey:
    """A key whose signature was right, of a user who also needs a password; holds for one name only."""

    username: str
    algorithm: str
    blob: bytes


class Doorman(asyncssh.SSHServer):
    """One connection's sign-in, and the way to its channels.

    Certificates are refused: no certificate authority is configured.

    Attempts are counted when they begin and run one at a time: asyncssh lets a client pipeline
    them and cancels the earlier ones, which would otherwise be neither counted nor seen to the end.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = asyncio.Lock()
        self._attempts = 0
        self._proved: ProvedKey | None = None
        self._counted_in = False
        self._conn: Connection | None = None
        self.client: Client | None = None

    # The connection's life -----------------------------------------------------------------------

    def connection_made(self, conn: SSHServerConnection) -> None:
        """Let the connection in, unless too many are waiting to sign in."""
        self._conn = cast("Connection", conn)
        self._site.doormen.add(self)
        if self._site.draining:
            self._conn.abort()
            return
        self._counted_in = self._site.startups.enter(self._conn.peer)
        if not self._counted_in:
            log.warning("sftp.too_many_startups", peer=self._conn.peer, inside=self._site.startups.inside)
            self._conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the session; what the client had not closed is aborted."""
        self._site.doormen.discard(self)
        self._count_out()
        if self.client is not None:
            self._site.spawn(self.client.leave("disconnected"))
        self._conn = None

    def auth_completed(self) -> None:
        """Count the connection out of those that wait to sign in."""
        self._count_out()

    def say_goodbye(self, reason: str) -> None:
        """Disconnect with a sentence."""
        if self._conn is not None:
            self._conn.say_goodbye(asyncssh.DISC_BY_APPLICATION, reason)

    def abort(self) -> None:
        """Drop the connection now."""
        if self._conn is not None:
            self._conn.abort()

    def _count_out(self) -> None:
        if self._counted_in and self._conn is not None:
            self._counted_in = False
            self._site.startups.leave(self._conn.peer)

    # What may be tried ---------------------------------------------------------------------------

    @final
    def begin_auth(self, username: str) -> bool:
        """Always True: asyncssh takes anything falsy as "no authentication needed".

        Called for every new name; what an earlier name had proved does not count for this one.
        """
        self._proved = None
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer public keys."""
        return True

    def password_auth_supported(self) -> bool:
        """Offer passwords; the broker refuses those of users who have none."""
        return True

    def kbdint_auth_supported(self) -> bool:
        """Offer keyboard-interactive, which many clients prefer; it asks for the password."""
        return True

    def host_based_auth_supported(self) -> bool:
        """Do not offer host-based authentication."""
        return False

    def change_password(self, username: str, old_password: str, new_password: str) -> bool:
        """Refuse: passwords are not changed over SFTP."""
        return False

    async def validate_password_bytes(self, username: str, password: bytes) -> bool:
        """Try a password as it came over the wire."""
        try:
            text = password.decode("utf-8", "strict")
        except UnicodeDecodeError:
            text = ""
        return await self.validate_password(username, text)

    async def validate_password(self, username: str, password: str) -> bool:
        """Try a password, together with the key if one was proved for this name on this connection."""
        if not self._begin_attempt():
            return False
        secret = Secret(password if len(password.encode("utf-8", "replace")) <= _MAX_PASSWORD else "")
        return self._admit(await self._in_turn(lambda: self._try_password(username, secret), self._discard))

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> KbdIntChallenge:
        """Ask for the password."""
        return _PROMPT

    async def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        """Try the answer to the one question."""
        return await self.validate_password(username, responses[0] if len(responses) == 1 else "")

    async def check_public_key(self, username: str, blob: bytes, signed: bytes, signature: bytes) -> bool:
        """Answer whether a key may be tried (nothing ``signed``: no side effects), or try it.

        A certificate is not a key that this decodes, so none is ever accepted, also not one with an
        empty list of principals, which asyncssh would let in under any name.
        """
        if not self._begin_attempt():
            return False
        try:
            key = decode_ssh_public_key(blob)
        except KeyImportError:
            return False
        credential = PublicKey(username, key.algorithm.decode("ascii"), blob)
        if not signed:
            accepted = bool(await self._in_turn(lambda: self._offer(credential), None))
            self._attempts -= accepted  # an offer that is good costs nothing; its signature will
            return accepted
        if not _is_signed_by(key, signed, signature):
            log.info("sftp.bad_signature", peer=self._peer)
            return False
        return self._admit(await self._in_turn(lambda: self._try_in(credential), self._discard))

    # One attempt ---------------------------------------------------------------------------------

    @property
    def _peer(self) -> str:
        return "" if self._conn is None else self._conn.peer

    def _begin_attempt(self) -> bool:
        """Count an attempt before anything of it is awaited; one too many ends the connection instead."""
        self._attempts += 1
        if self._attempts <= self._site.settings.sftp.max_auth_attempts:
            return self._conn is not None
        log.info("sftp.too_many_attempts", peer=self._peer)
        self._farewell(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, TOO_MANY_ATTEMPTS)
        return False

    async def _in_turn(
        self,
        step: Callable[[], Awaitable[T | None]],
        discard: Callable[[asyncio.Task[T | None]], None] | None,
    ) -> T | None:
        """Run one step after those before it have ended; a cancelled wait leaves it running.

        ``discard`` gets the finished task of a step whose result nobody takes any more.
        """
        task = self._site.spawn(self._alone(step))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if discard is not None:
                task.add_done_callback(discard)
            raise

    async def _alone(self, step: Callable[[], Awaitable[T | None]]) -> T | None:
        async with self._lock:
            return None if self._conn is None else await step()

    async def _offer(self, key: PublicKey) -> bool:
        try:
            return await self._site.bridge.auth(
                self._site.sign_in.would_accept_key, key.username, key.algorithm, key.blob, self._peer
            )
        except Exception:
            log.exception("sftp.offer_failed", peer=self._peer)
            self._farewell(asyncssh.DISC_SERVICE_NOT_AVAILABLE, PUBLIC_UNAVAILABLE)
            return False

    async def _try_password(self, username: str, secret: Secret) -> Session | None:
        proved = self._proved
        if proved is not None and proved.username == username:
            return await self._try_in(PublicKey(username, proved.algorithm, proved.blob, second=secret))
        return await self._try_in(credential_from_password(username, secret))

    async def _try_in(self, credential: Credential) -> Session | None:
        """Ask the broker; None keeps the client out. "Cannot tell" ends the connection: it is no refusal."""
        conn, loop = self._conn, asyncio.get_running_loop()
        if conn is None:
            return None

        def cut(reason: str) -> None:
            log.info("sftp.cut", peer=conn.peer, reason=reason)
            with suppress(RuntimeError):  # the loop is closed: so is the connection
                loop.call_soon_threadsafe(conn.cut, SessionEnded.public)

        try:
            outcome = await self._site.bridge.auth(self._site.sign_in.try_in, FrontEnd.SFTP, credential, conn.peer, cut)
        except Exception:
            log.exception("sftp.sign_in_failed", peer=conn.peer)
            self._farewell(asyncssh.DISC_SERVICE_NOT_AVAILABLE, PUBLIC_UNAVAILABLE)
            return None
        match outcome:
            case Refused(reason=Reason.NEEDS_KEY_AND_PASSWORD) if isinstance(credential, PublicKey):
                # asyncssh has no partial success (RFC 4252 section 5.1): the client sees a refusal,
                # goes on with its password, and both are tried together then.
                self._proved = ProvedKey(credential.username, credential.algorithm, credential.blob)
                return None
            case Refused():
                return None
            case TryLater(public_message=text):
                self._farewell(asyncssh.DISC_SERVICE_NOT_AVAILABLE, text)
                return None
            case session:
                return session

    def _admit(self, session: Session | None) -> bool:
        if session is None:
            return False
        if self._conn is None or self.client is not None:
            self._site.spawn(self._site.bridge.io(session.end, "disconnected"))
            return False
        self.client = Client(
            session,
            self._site.bridge,
            idle_s=self._site.settings.sftp.idle_timeout_s,
            max_open_files=self._site.settings.files.max_open_files,
            goodbye=self.say_goodbye,
        )
        return True

    def _discard(self, task: asyncio.Task[Session | None]) -> None:
        """End a session that was opened for an attempt which the client has meanwhile given up."""
        session = None if task.cancelled() else task.result()
        if session is not None:
            self._site.spawn(self._site.bridge.io(session.end, "abandoned"))

    def _farewell(self, code: int, text: str) -> None:
        if self._conn is not None:
            self._conn.say_goodbye(code, text)

    # Channels ------------------------------------------------------------------------------------

    def session_requested(self) -> tuple[SftpChannel, SftpSession]:
        """Open a channel; forwarding of any kind is refused by asyncssh's defaults."""
        if self._conn is None or self.client is None:
            raise ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Not signed in.")
        if self._conn.open_channels >= self._site.settings.sftp.max_sessions_per_connection:
            raise ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "Too many sessions on this connection.")
        session = SftpSession(self.client, self._conn, hard_links=self._site.settings.files.allow_hard_links)
        return SftpChannel(self._conn), session


def _is_signed_by(key: SSHKey, signed: bytes, signature: bytes) -> bool:
    """Whether the signature is right, by an algorithm that is allowed (no SHA-1), touched if it is a security key."""
    try:
        algorithm = SSHPacket(signature).get_string()
        if algorithm.decode("ascii", "replace") not in SIGNATURES:
            return False
        key.set_touch_required(True)
        return key.verify(signed, signature)
    except (PacketDecodeError, ValueError, OverflowError):
        return False
