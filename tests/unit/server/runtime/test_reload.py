"""What a reload may change."""

from __future__ import annotations

from pathlib import Path

from config.errors import ConfigError, Problem
from config.settings import Settings, SftpSettings
from server.runtime.reload import FIXED, reloaded


def test_ports_and_places_stay_and_the_rest_changes() -> None:
    """A new port waits for a restart; a new idle time-out counts at once."""
    present = Settings(data=Path("/srv/a"), sftp=SftpSettings(port=2022, idle_timeout_s=10))
    wanted = Settings(data=Path("/srv/b"), sftp=SftpSettings(port=3033, idle_timeout_s=20), drain_s=1)
    settings = reloaded(present, lambda: wanted)

    assert settings is not None
    assert settings.data == Path("/srv/a")
    assert settings.sftp == SftpSettings(port=2022, idle_timeout_s=20)
    assert settings.drain_s == 1


def test_a_mistake_keeps_the_present_configuration() -> None:
    """The server goes on as it is."""

    def broken() -> Settings:
        raise ConfigError((Problem("file", "sftp.port", "must be a number"),))

    assert reloaded(Settings(), broken) is None


def test_the_fixed_settings_exist() -> None:
    """A renamed setting cannot silently lose its place in the list."""
    for path in FIXED:
        value: object = Settings()
        for name in path:
            value = getattr(value, name)
