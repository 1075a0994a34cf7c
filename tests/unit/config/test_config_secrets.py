"""Secrets in the configuration are found by reference and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.fields import leaves_of
from config.loading import load, load_settings
from config.secrets import SecretRef, SecretUnreadable, masked_url, read_secret_file

URL = "postgresql://quay:hunter2@db.example.org/quay"


def test_a_reference_to_a_file_is_followed(tmp_path: Path) -> None:
    """``file:`` in TOML is relative to the TOML file; the line break at the end is no part of the secret."""
    (tmp_path / "url").write_text(f"{URL}\n")
    file = tmp_path / "q.toml"
    file.write_text('[database]\nurl = "file:url"\n')

    loaded = load(file, {})

    assert loaded.settings.database.url == URL
    assert loaded.sources["database.url"] == f"{file}:2 (file:url)"


def test_a_reference_to_the_environment_is_followed() -> None:
    """``env:`` takes the value of another variable."""
    settings = load_settings(None, {"QUAYMASTER_DATABASE__URL": "env:PGURL", "PGURL": URL})

    assert settings.database.url == URL


def test_a_file_variable_is_read(tmp_path: Path) -> None:
    """``QUAYMASTER_…_FILE`` names the file that holds the value."""
    (tmp_path / "url").write_text(f"{URL}\r\n")

    settings = load_settings(None, {"QUAYMASTER_DATABASE__URL_FILE": str(tmp_path / "url")})

    assert settings.database.url == URL


@pytest.mark.parametrize(
    "environ",
    [
        {"QUAYMASTER_DATABASE__URL": "env:ABSENT"},
        {"QUAYMASTER_DATABASE__URL": "file:/absent/url"},
        {"QUAYMASTER_DATABASE__URL_FILE": "/absent/url"},
        {"QUAYMASTER_DATABASE__URL": "file:/absent/\0"},
    ],
)
def test_a_reference_that_leads_nowhere_is_told(environ: dict[str, str]) -> None:
    """The error names the place, and the setting."""
    with pytest.raises(ConfigError) as caught:
        load_settings(None, environ)

    (problem,) = caught.value.problems
    assert problem.key == "database.url"
    assert "bsent" in str(problem) or "ABSENT" in str(problem)


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    """An empty file is a mistake of whoever filled it, not an empty password."""
    (tmp_path / "url").write_text("\n")

    with pytest.raises(SecretUnreadable, match="is empty"):
        read_secret_file(tmp_path / "url")


def test_a_password_is_never_shown() -> None:
    """Neither the tree's repr, nor its text, nor what ``config show`` prints holds the password."""
    settings = load_settings(None, {"QUAYMASTER_DATABASE__URL": URL})
    shown = [leaf.shown(leaf.value(settings)) for leaf in leaves_of(settings)]

    assert "hunter2" not in f"{settings!r} {settings} {settings.database!r} {settings.database} {shown}"
    assert "postgresql://quay:***@db.example.org/quay" in shown


def test_a_bad_secret_is_not_quoted() -> None:
    """The error for a bad value of a secret setting, or for an unknown key near it, does not show the value."""
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {"QUAYMASTER_DATABASE__URL": "mysql://quay:hunter2@db/quay"})
    with pytest.raises(ConfigError) as unknown:
        load_settings(None, {"QUAYMASTER_DATABASE__ULR": URL})

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(unknown.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:p@h/d", "postgresql://:***@h/d"),
        ("postgresql://u:p%40x:y@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://u@h/d?password=p&sslmode=require", "postgresql://u@h/d?password=***&sslmode=require"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("sqlite:////srv/q.db", "sqlite:////srv/q.db"),
    ],
)
def test_only_the_password_of_a_url_is_masked(url: str, shown: str) -> None:
    """Host, user and options stay readable."""
    assert masked_url(url) == shown


def test_other_texts_are_no_reference() -> None:
    """Only the two prefixes make a reference."""
    assert SecretRef.parse(URL) is None
