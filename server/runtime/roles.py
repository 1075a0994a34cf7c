"""What kinds of worker processes there are, and which module runs each."""

from __future__ import annotations

from enum import StrEnum

from config.settings import Settings


class Role(StrEnum):
    """One kind of worker."""

    SFTP = "sftp"
    FTPS = "ftps"
    HTTP = "http"
    JOBS = "jobs"

    @property
    def module(self) -> str:
        """Where its blocking ``run(services, sockets, control)`` is."""
        return "server.runtime.jobs" if self is Role.JOBS else f"server.{self.value}.worker"


def slots(settings: Settings) -> list[tuple[Role, int]]:
    """List the workers that the settings ask for, as (role, number from 1)."""
    enabled = {Role.SFTP: settings.sftp.enabled, Role.FTPS: settings.ftps.enabled, Role.HTTP: settings.http.enabled}
    front_ends = [(role, number + 1) for number in range(settings.workers) for role, on in enabled.items() if on]
    return [*front_ends, (Role.JOBS, 1)]
