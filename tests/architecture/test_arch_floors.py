"""Who may import whom: the contracts are there, and what they cannot say is checked here.

The contracts themselves are run by ``lint-imports`` in ``make lint``.
"""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.support.sources import PACKAGES, ROOT, imports, modules

LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
CONTRACTS = {contract["name"]: contract for contract in LINTER["contracts"]}

FRONT_ENDS = ("server.sftp", "server.ftps", "server.webdav", "server.http")

# Each library is imported only below these modules.
HOMES = {
    "asyncssh": ("server.sftp",),
    "pyftpdlib": ("server.ftps",),
    "OpenSSL": ("server.ftps",),
    "wsgidav": ("server.webdav",),
    "granian": ("server.http",),
    "argon2": ("auth_backends.passwords",),
    "ldap3": ("auth_backends.ldap",),
    "sqlalchemy": ("storage.database",),
    "alembic": ("storage.database",),
    "psycopg": ("storage.database",),
    "pydantic": ("config",),
    "typer": ("server.cli",),
    "rich": ("server.cli", "server.runtime.welcome"),
    "scim2_models": ("server.http.scim",),
    "onelogin": ("auth_backends.saml",),
    "xmlsec": ("auth_backends.saml",),
    "lxml": ("auth_backends.saml",),
    "joserfc": ("auth_backends.oidc",),
    "httpcore": ("auth_backends.outgoing",),
    "httpx": ("auth_backends.outgoing",),
    "pyotp": ("auth_backends.totp",),
    "segno": ("server.cli",),
    "starlette": ("server.http",),
    "jinja2": ("server.http",),
    "uvloop": ("server.sftp", "server.http", "server.runtime"),
}

DRIVERS = {"psycopg"}  # loaded by name: SQLAlchemy imports it for postgresql:// URLs


def test_every_contract_of_the_house_is_there() -> None:
    """The floors, the two independent sides of storage, the front ends, and each library's one home."""
    assert set(CONTRACTS) >= {
        "Floors",
        "Files and database never import each other",
        "Front ends never import each other",
        "Front ends reach no database engine",
        "asyncssh only in the SFTP front end and in SSH keys",
        "pyftpdlib only in the FTPS front end",
        "wsgidav only in the WebDAV front end",
        "ldap3 only in the LDAP backend",
    }
    assert LINTER["root_packages"] == list(PACKAGES)
    assert CONTRACTS["Floors"]["layers"] == ["server", "auth_backends", "storage", "config"]


def test_no_contract_forgets_a_package() -> None:
    """The modules that contracts name exist, and each protocol's package is in the independence contract."""
    named = {
        module
        for contract in CONTRACTS.values()
        for key in ("modules", "source_modules", "layers")
        for module in contract.get(key, [])
    }
    protocols = {name for name in FRONT_ENDS if name != "server.http"}

    assert [module for module in sorted(named) if module not in modules()] == []
    assert protocols <= set(CONTRACTS["Front ends never import each other"]["modules"])


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_is_imported_in_its_home_only(library: str) -> None:
    """Replacing a library means changing one folder."""
    strangers = [
        name
        for name, file in modules().items()
        if any(target.split(".")[0] == library for target in imports(file)) and not below(name, HOMES[library])
    ]

    assert strangers == []


# Where they differ from the distribution's.
IMPORT_NAMES = {
    "argon2-cffi": "argon2",
    "pyopenssl": "OpenSSL",
    "scim2-models": "scim2_models",
    "python3-saml": "onelogin",
}


def test_every_dependency_is_used_and_has_its_reason() -> None:
    """Nothing is installed that no file imports, and docs/decisions/0002 has a line for each."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[^A-Za-z0-9-]", requirement)[0] for requirement in project["dependencies"]]
    imported = {target.split(".")[0] for file in modules().values() for target in imports(file)}
    page = (ROOT / "docs/decisions/0002-dependencies.md").read_text(encoding="utf-8").lower()

    assert [name for name in names if IMPORT_NAMES.get(name, name) not in imported | DRIVERS] == []
    assert [name for name in names if not re.search(rf"\b{re.escape(name)}\b", page)] == []


def test_front_ends_know_the_broker_by_its_front_door_only() -> None:
    """No front end imports a backend, a policy or a store of credentials: they translate and decide nothing."""
    allowed = ("auth_backends.api", "auth_backends.credentials", "auth_backends.scim_clients", "auth_backends.sso")
    found = [
        (name, target)
        for name, file in modules().items()
        if below(name, FRONT_ENDS)
        for target in imports(file)
        if below(target, ("auth_backends",)) and not below(target, allowed)
    ]

    assert found == []


def test_front_ends_know_no_concrete_filesystem() -> None:
    """They see a Workspace; which disk is behind it is the composition root's business."""
    concrete = ("storage.files.local", "storage.files.memory", "storage.files.confined")
    found = [
        (name, target)
        for name, file in modules().items()
        if below(name, FRONT_ENDS)
        for target in imports(file)
        if below(target, concrete)
    ]

    assert found == []


def test_configuration_imports_nothing_of_ours() -> None:
    """It is the lowest floor."""
    found = [
        (name, target)
        for name, file in modules().items()
        if below(name, ("config",))
        for target in imports(file)
        if below(target, ("storage", "auth_backends", "server"))
    ]

    assert found == []


def test_no_file_is_too_long() -> None:
    """A file is about one noun: 400 lines at most."""
    long = {name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in modules().items()}

    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def below(name: str, homes: tuple[str, ...]) -> bool:
    return any(name == home or name.startswith(f"{home}.") for home in homes)
