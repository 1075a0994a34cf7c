"""The order of sources, and what every mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.loading import load, load_settings
from config.settings import Durability, PortRange


def refused(file: Path | None, environ: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environ or {})
    return caught.value


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "quaymaster.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_nothing_given_is_a_working_configuration() -> None:
    """An empty environment and no file give the defaults, and no source is named."""
    loaded = load(None, {})

    assert loaded.settings.sftp.port == 2022
    assert loaded.settings.data == Path("data")
    assert dict(loaded.sources) == {}


def test_each_source_wins_over_the_one_before(toml, tmp_path: Path) -> None:
    """Defaults < TOML < environment < secret file, and every value keeps its own source."""
    file = toml("workers = 2\n[sftp]\nport = 3022\n[ftps]\nport = 3021\n[http]\nport = 3443\n")
    secret = tmp_path / "port"
    secret.write_text("5443\n")
    environ = {
        "QUAYMASTER_FTPS__PORT": "4021",
        "QUAYMASTER_HTTP__PORT": "4443",
        "QUAYMASTER_HTTP__PORT_FILE": str(secret),
    }

    loaded = load(file, environ)

    assert loaded.settings.ftps.implicit_port == 2990
    assert (loaded.settings.workers, loaded.settings.sftp.port) == (2, 3022)
    assert loaded.settings.ftps.port == 4021
    assert loaded.settings.http.port == 5443
    assert loaded.sources["sftp.port"] == f"{file}:3"
    assert loaded.sources["ftps.port"] == "environment variable QUAYMASTER_FTPS__PORT"
    assert loaded.sources["http.port"] == f"environment variable QUAYMASTER_HTTP__PORT_FILE (file {secret})"


def test_the_variables_that_scripts_rely_on() -> None:
    """The environment names of the contract reach the settings they name."""
    settings = load_settings(
        None,
        {
            "QUAYMASTER_DATA": "/srv/q",
            "QUAYMASTER_WORKERS": "3",
            "QUAYMASTER_SFTP__PORT": "12022",
            "QUAYMASTER_FTPS__PORT": "12121",
            "QUAYMASTER_FTPS__IMPLICIT_PORT": "12990",
            "QUAYMASTER_FTPS__PASSIVE_PORTS": "50000-50199",
            "QUAYMASTER_HTTP__PORT": "18443",
            "QUAYMASTER_DATABASE__URL": "postgresql://q@db/q",
            "QUAYMASTER_FILES__DURABILITY": "strict",
            "QUAYMASTER_SFTP__ENABLED": "no",
        },
    )

    assert settings.data == Path("/srv/q")
    assert settings.workers == 3
    assert (settings.sftp.port, settings.ftps.port, settings.ftps.implicit_port) == (12022, 12121, 12990)
    assert settings.ftps.passive_ports == PortRange(first=50000, last=50199)
    assert settings.http.port == 18443
    assert settings.database_url == "postgresql://q@db/q"
    assert settings.files.durability is Durability.STRICT
    assert not settings.sftp.enabled


def test_every_mistake_is_told_at_once(toml) -> None:
    """Unknown keys and bad values of all sources come together, each with its place."""
    file = toml('[sftp]\nprot = 22\nport = 0\n[log]\nlevel = "loud"\n')

    problems = {(p.source, p.key) for p in refused(file, {"QUAYMASTER_WORKERS": "many"}).problems}

    assert problems == {
        (f"{file}:2", "sftp.prot"),
        (f"{file}:3", "sftp.port"),
        (f"{file}:5", "log.level"),
        ("environment variable QUAYMASTER_WORKERS", "workers"),
    }


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("[sftp]\nprot = 22", "sftp.prot", "sftp.port"),
        ("[stfp]\nport = 22", "stfp", "sftp"),
        ("wrokers = 2", "wrokers", "workers"),
        ("passive_ports = '1-2'", "passive_ports", "ftps.passive_ports"),
        ("[http]\nzzz = 1", "http.zzz", None),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest(toml, text: str, key: str, nearest: str | None) -> None:
    """The message names the key, its line, all known keys of the table and the nearest one."""
    (problem,) = refused(toml(text)).problems

    assert (problem.key, problem.nearest) == (key, nearest)
    assert "Known keys of" in str(problem)


def test_an_unknown_variable_is_refused_with_the_nearest() -> None:
    """A typing error in the environment never passes silently; other programs' variables do."""
    (problem,) = refused(None, {"QUAYMASTER_SFTP_PORT": "22", "HOME": "/root", "QUAY": "x"}).problems

    assert str(problem) == (
        "environment variable QUAYMASTER_SFTP_PORT: unknown variable. Did you mean QUAYMASTER_SFTP__PORT?"
    )


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("QUAYMASTER_SFTP__PORT", "70000", "expected a whole number from 1 to 65535."),
        ("QUAYMASTER_SFTP__PORT", "22.5", "expected a whole number from 1 to 65535."),
        ("QUAYMASTER_DATA", "a\0b", "expected a path (it holds a NUL character)"),
        ("QUAYMASTER_DRAIN_S", "0", "expected a number above 0."),
        ("QUAYMASTER_DRAIN_S", "inf", "expected a number above 0."),
        ("QUAYMASTER_LISTEN", "localhost", "expected an IPv4 or IPv6 address"),
        ("QUAYMASTER_FTPS__MASQUERADE_ADDRESS", "::1", "expected an IPv4 address"),
        ("QUAYMASTER_LOG__LEVEL", "loud", "expected one of: debug, info, warning, error."),
        ("QUAYMASTER_FILES__DURABILITY", "none", "expected one of: fast, strict."),
        ("QUAYMASTER_SFTP__ENABLED", "perhaps", "expected true or false."),
        ("QUAYMASTER_FTPS__PASSIVE_PORTS", "50000", "expected a port range FIRST-LAST within 1-65535"),
        ("QUAYMASTER_FTPS__PASSIVE_PORTS", "50199-50000", "its first port is above its last"),
        ("QUAYMASTER_FTPS__PASSIVE_PORTS", "1-99999", "expected a port range FIRST-LAST within 1-65535."),
        ("QUAYMASTER_AUTH__MIN_RSA_BITS", "1024", "expected a whole number from 2048 to 16384."),
    ],
)
def test_a_bad_value_is_told_with_what_was_expected(variable: str, value: str, expected: str) -> None:
    """The message holds the variable, the value, and the accepted range in words."""
    (problem,) = refused(None, {variable: value}).problems

    assert expected in str(problem)
    assert repr(value) in str(problem)
    assert variable in str(problem)


def test_a_toml_boolean_is_no_number(toml) -> None:
    """``workers = true`` is a mistake and not the number one."""
    (problem,) = refused(toml("workers = true")).problems

    assert problem.key == "workers"


def test_a_section_must_be_a_table(toml) -> None:
    """A value where a table belongs is told as such."""
    (problem,) = refused(toml("sftp = 22")).problems

    assert "expected a table [sftp]" in str(problem)


def test_a_broken_file_is_told_with_line_and_column(toml) -> None:
    """A syntax error names file and position."""
    file = toml("workers = 1\nlisten = \n")

    assert "line 2" in str(refused(file))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are not text are refused with the file's name."""
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")

    assert "No such file" in str(refused(tmp_path / "absent.toml"))
    assert "Is a directory" in str(refused(tmp_path))
    assert "not UTF-8" in str(refused(binary))


def test_rules_between_settings_name_their_sources() -> None:
    """Two listeners on one port, a listener in the passive range, half a certificate: each names what was given."""
    same = str(refused(None, {"QUAYMASTER_SFTP__PORT": "8443"}))
    inside = str(refused(None, {"QUAYMASTER_HTTP__PORT": "50007"}))
    half = str(refused(None, {"QUAYMASTER_TLS__KEY": "key.pem"}))

    assert "QUAYMASTER_SFTP__PORT" in same
    assert "http.port and sftp.port are both 8443" in same
    assert "lies in ftps.passive_ports 50000-50199" in inside
    assert "QUAYMASTER_TLS__KEY" in half
    assert "set both or neither" in half


def test_a_switched_off_front_end_takes_no_port() -> None:
    """Its ports may be used by others."""
    settings = load_settings(None, {"QUAYMASTER_FTPS__ENABLED": "false", "QUAYMASTER_SFTP__PORT": "50007"})

    assert settings.listeners == (("sftp.port", 50007), ("http.port", 8443))


def test_relative_paths_start_at_the_file_that_names_them(toml, tmp_path: Path) -> None:
    """In TOML a path is relative to the file; in the environment to the working directory."""
    file = toml('data = "state"\n[files]\nhomes = "/abs"\n')

    settings = load_settings(file, {"QUAYMASTER_TLS__CERTIFICATE": "c.pem", "QUAYMASTER_TLS__KEY": "k.pem"})

    assert settings.data == tmp_path / "state"
    assert settings.files.homes == Path("/abs")
    assert settings.tls.certificate == Path("c.pem")


def test_an_empty_variable_counts_as_not_set() -> None:
    """Container files often pass empty variables; they change nothing."""
    assert load({}.get("x"), {"QUAYMASTER_DATABASE__URL": "", "QUAYMASTER_WORKRS": ""}).sources == {}


def test_the_tree_is_frozen() -> None:
    """Nobody changes a setting at run time."""
    settings = load_settings(None, {})

    with pytest.raises(ValueError, match="frozen"):
        settings.workers = 2
