"""Whatever a configuration holds, it is taken or refused with ConfigError; secrets stay hidden."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import ConfigError
from config.fields import leaves
from config.loading import load_settings
from config.secrets import masked_url
from config.settings import Settings
from config.toml_lines import line_of

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other tests share the machine

NAMES = [leaf.variable for leaf in leaves() if leaf.variable]
VARIABLES = st.sampled_from(NAMES + [f"{name}_FILE" for name in NAMES])
STRANGE_VARIABLES = st.text("ABCDEFGHIJ_", max_size=12).flatmap(
    lambda end: st.sampled_from([f"QUAYMASTER_{end}", f"QUAYMASTER_LDAP{end}"])
)
ODD_VALUES = st.sampled_from(["file:", "env:", "1-2", "\0"])
VALUES = st.text(max_size=30) | st.integers().map(str) | st.floats().map(str) | ODD_VALUES

KEYS = st.sampled_from([name for leaf in leaves() for name in leaf.path]) | st.text("abcxyz_-.\" é'", max_size=8)
SCALARS = st.integers() | st.floats() | st.booleans() | st.text(max_size=12)
TREES = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=3), lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def attempt(file: Path | None, environ: dict[str, str]) -> Settings | ConfigError:
    try:
        return load_settings(file, environ)
    except ConfigError as error:
        return error


def toml(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{quoted(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case bool():
            return str(value).lower()
        case str():
            return quoted(value)
        case _:
            return str(value)


def quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(letter):08X}" for letter in text) + '"'


@calm
@given(st.dictionaries(VARIABLES | STRANGE_VARIABLES, VALUES, max_size=6))
def test_any_environment_is_taken_or_refused_in_words(environ: dict[str, str]) -> None:
    """Every refusal names at least one source and nothing but ConfigError is raised."""
    result = attempt(None, environ)

    assert isinstance(result, Settings) or all(problem.source and problem.message for problem in result.problems)


@calm
@given(st.dictionaries(KEYS, TREES, max_size=5))
def test_any_toml_tree_is_taken_or_refused_in_words(tree: dict[str, object]) -> None:
    """Whatever types stand wherever."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "q.toml"
        file.write_text("\n".join(f"{quoted(key)} = {toml(value)}" for key, value in tree.items()), "utf-8")
        result = attempt(file, {})

    assert isinstance(result, Settings) or all(str(file) in p.source or p.message for p in result.problems)


@calm
@given(st.binary(max_size=200))
def test_any_bytes_as_a_file_are_taken_or_refused_in_words(data: bytes) -> None:
    """A file of noise never ends in a traceback."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "q.toml"
        file.write_bytes(data)

        assert isinstance(attempt(file, {}), Settings | ConfigError)


@calm
@given(st.text(max_size=200), st.lists(st.text(max_size=8), max_size=3).map(tuple))
def test_looking_for_a_line_never_fails(text: str, path: tuple[str, ...]) -> None:
    """Line numbers are a help; they must not be a new way to fail."""
    line = line_of(text, path)

    assert line is None or 1 <= line <= len(text.splitlines())


PASSWORDS = st.text("abcXYZ019!$&'()*+,;=%._~-:", min_size=1, max_size=20).map("hunter2".__add__)


@calm
@given(PASSWORDS, st.sampled_from(["postgresql", "sqlite", "mysql", "weird"]))
def test_no_password_of_a_url_is_ever_shown(password: str, scheme: str) -> None:
    """Neither by the mask, nor by a refusal, nor by the accepted tree."""
    url = f"{scheme}://user:{password}@host/name?password={password.replace('&', '')}"
    result = attempt(None, {"QUAYMASTER_DATABASE__URL": url})

    assert "hunter2" not in f"{masked_url(url)} {result!r} {result}"


WHOLE_PROVIDER = {
    "hosts": ["dc1.example.org"],
    "vendor": "active-directory",
    "base_dn": "dc=example,dc=org",
    "bind_user": "svc@example.org",
}
PROVIDER_KEYS = st.sampled_from([leaf.path[-1] for leaf in leaves() if leaf.named]) | KEYS
PROVIDER_NAMES = st.sampled_from(["corp", "NAME", "9", "a.b", "[key]"]) | st.text(max_size=4)
HIDDEN = PASSWORDS | st.just("hunter2" * 200) | PASSWORDS.map(lambda password: [password])


@calm
@given(st.dictionaries(PROVIDER_NAMES, st.dictionaries(PROVIDER_KEYS, TREES, max_size=4), max_size=2), HIDDEN)
def test_any_provider_is_taken_or_refused_without_its_password(tables: dict[str, dict[str, object]], secret) -> None:
    """Whatever stands beside the password, no error and no repr shows it; what is taken reaches a worker whole.

    No message contradicts another one: a key that was given is never called missing.
    """
    tables = {name: {**WHOLE_PROVIDER, **table, "bind_password": secret} for name, table in tables.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "q.toml"
        headers = [(f"[ldap.{quoted(name)}]", table) for name, table in tables.items()]
        lines = [
            (header, *(f"{quoted(key)} = {toml(value)}" for key, value in table.items())) for header, table in headers
        ]
        file.write_text("\n".join(line for table in lines for line in table), "utf-8")
        result = attempt(file, {})

    assert "hunter2" not in f"{result!r} {result}"
    if isinstance(result, Settings):
        assert Settings.model_validate_json(result.model_dump_json()) == result
    else:
        assert all(str(file) in problem.source and problem.message for problem in result.problems)
        assert not any("required, and not given" in problem.message for problem in result.problems)
