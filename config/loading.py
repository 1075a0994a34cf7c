"""Reads the operator's settings: defaults < TOML file < environment < secret files."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.errors import ConfigError, Problem
from config.fields import FILE_SUFFIX, NAME, PREFIX, Leaf, leaves, named_tables, template
from config.secrets import SecretRef, SecretUnreadable, read_secret_file
from config.settings import Settings
from config.toml_lines import line_of

Path_ = tuple[str, ...]
DEFAULT_SOURCE = "default"
_NO_VARIABLES = (
    "Providers are set in tables [ldap.NAME] and [sso.NAME] of the TOML file, or with `quaymaster provider add`, not "
    "by variables; a password there may be a reference env:NAME."
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for every key that was given, where its value came from."""

    settings: Settings
    sources: Mapping[str, str]


@dataclass(slots=True)
class _Gathering:
    """What has been read so far: values by path, their sources, and the mistakes.

    ``tables`` are the tables whose names the operator chose, with their sources. ``refused`` are the keys that were
    given and not taken, which is a mistake already: nothing is said about their absence.
    """

    environ: Mapping[str, str]
    values: dict[Path_, object] = field(default_factory=dict)
    sources: dict[Path_, str] = field(default_factory=dict)
    tables: dict[Path_, str] = field(default_factory=dict)
    refused: set[Path_] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    by_path: dict[Path_, Leaf] = field(default_factory=lambda: {leaf.path: leaf for leaf in leaves()})
    sections: frozenset[Path_] = field(
        default_factory=lambda: frozenset(leaf.path[:depth] for leaf in leaves() for depth in range(len(leaf.path)))
    )

    def leaf(self, path: Path_) -> Leaf | None:
        """Find the setting at ``path``, which may hold a name that the operator chose."""
        known = self.by_path.get(template(path))
        return known.of(path[known.path.index(NAME)]) if known and known.named else known

    def refuse(self, leaf: Leaf, problem: Problem) -> None:
        """Note the mistake for which a given value is not taken."""
        self.refused.add(leaf.path)
        self.problems.append(problem)


def load_settings(config_file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; ``environ`` is the process's own by default.

    A variable set to the empty text counts as not set. A relative path in the TOML file starts at
    that file's folder; one in the environment or in the defaults starts at the working directory.

    Raises:
        ConfigError: holds every mistake that was found, not only the first.
    """
    return load(config_file, environ).settings


def load(config_file: Path | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read the settings like :func:`load_settings`, and keep each value's source."""
    variables = os.environ if environ is None else environ
    found = _Gathering(variables)
    if config_file is not None:
        _read_toml(found, config_file)
    _read_environment(found)
    settings = _validate(found)
    if settings is None or found.problems:
        raise ConfigError(tuple(found.problems))
    return Loaded(settings, {".".join(path): source for path, source in found.sources.items()})


# The TOML file ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _TomlFile:
    path: Path
    text: str

    @property
    def folder(self) -> Path:
        return self.path.absolute().parent

    def source_of(self, key: Path_) -> str:
        line = line_of(self.text, key)
        return f"{self.path}:{line}" if line else str(self.path)


def _read_toml(found: _Gathering, file: Path) -> None:
    try:
        text = file.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except OSError as error:
        found.problems.append(Problem(str(file), "", f"cannot read the file: {error.strerror}."))
    except UnicodeDecodeError:
        found.problems.append(Problem(str(file), "", "the file is not UTF-8 text."))
    except tomllib.TOMLDecodeError as error:
        found.problems.append(Problem(str(file), "", f"the file is not TOML: {error}."))
    else:
        _take_table(found, tree, (), _TomlFile(file, text))


def _take_table(found: _Gathering, table: Mapping[str, object], path: Path_, file: _TomlFile) -> None:
    for name, value in table.items():
        here = (*path, name)
        if template(here) in found.sections:
            if not isinstance(value, dict):
                found.problems.append(_no_table(found, here, file.source_of(here)))
                continue
            if path in named_tables():
                found.tables[here] = file.source_of(here)
            _take_table(found, value, here, file)
        elif leaf := found.leaf(here):
            _take_toml_value(found, leaf, value, file)
        else:
            found.problems.append(_unknown_key(found, here, file.source_of(here)))


def _take_toml_value(found: _Gathering, leaf: Leaf, value: object, file: _TomlFile) -> None:
    source = file.source_of(leaf.path)
    if isinstance(value, bool) and not leaf.is_bool:  # pydantic would take true for the number 1
        found.refuse(leaf, _bad_value(leaf, value, source))
        return
    if leaf.is_path and isinstance(value, str) and value:
        value = str(file.folder / value)
    _take(found, leaf, value, source, file.folder)


def _no_table(found: _Gathering, path: Path_, source: str) -> Problem:
    """Explain that a value stands where a table belongs; most likely the operator's name for the table was left out."""
    key = ".".join(path)
    if path in named_tables():
        return Problem(source, key, f"expected tables [{key}.{NAME}], each with a name of your choice.")
    if path[:-1] not in named_tables():
        return Problem(source, key, f"expected a table [{key}].")
    inner = (*path[:-1], NAME)
    nearest = ".".join((*inner, path[-1])) if (*inner, path[-1]) in found.by_path else None
    return Problem(source, key, f"expected a table [{key}]; settings stand in [{'.'.join(inner)}].", None, nearest)


def _unknown_key(found: _Gathering, path: Path_, source: str) -> Problem:
    depth, table = len(path) - 1, template(path[:-1])
    around = [known for known in (*found.by_path, *found.sections) if len(known) > depth and known[:depth] == table]
    siblings = sorted({known[depth] for known in around})
    near = get_close_matches(path[-1], siblings, n=1)
    everywhere = get_close_matches(".".join(path), [leaf.key for leaf in leaves()], n=1)
    elsewhere = [leaf.key for leaf in leaves() if leaf.path[-1] == path[-1]]
    farther = elsewhere + everywhere if NAME not in table else []  # a directory's setting stands nowhere else
    nearest = ".".join((*path[:-1], near[0])) if near else next(iter(farther), None)
    where = f"[{'.'.join(path[:-1])}]" if path[:-1] else "the top level"
    return Problem(source, ".".join(path), f"unknown key. Known keys of {where}: {', '.join(siblings)}.", None, nearest)


# The environment ----------------------------------------------------------------------------------


def _read_environment(found: _Gathering) -> None:
    by_variable = {leaf.variable: leaf for leaf in leaves() if leaf.variable is not None}
    here = Path.cwd()
    files: list[tuple[Leaf, str, str]] = []
    for variable, value in sorted(found.environ.items()):
        if not variable.startswith(PREFIX) or not value:
            continue
        source = f"environment variable {variable}"
        if leaf := by_variable.get(variable):
            _take(found, leaf, value, source, here)
        elif leaf := by_variable.get(variable.removesuffix(FILE_SUFFIX)):
            files.append((leaf, variable, value))
        elif _seeks_named_table(variable):
            found.problems.append(Problem(source, "", f"unknown variable. {_NO_VARIABLES}"))
        else:
            near = get_close_matches(variable, list(by_variable), n=1)
            found.problems.append(Problem(source, "", "unknown variable.", None, near[0] if near else None))
    for leaf, variable, name in files:
        source = f"environment variable {variable} (file {name})"
        try:
            text = read_secret_file(here / name)
        except SecretUnreadable as error:
            found.refuse(leaf, Problem(source, leaf.key, f"{error}."))
        else:
            found.values[leaf.path], found.sources[leaf.path] = text, source


def _seeks_named_table(variable: str) -> bool:
    prefixes = [PREFIX + "__".join(table).upper() for table in named_tables()]
    return any(variable == prefix or variable.startswith(f"{prefix}_") for prefix in prefixes)


def _take(found: _Gathering, leaf: Leaf, value: object, source: str, folder: Path) -> None:
    """Keep a value, following a reference where the setting is a secret."""
    reference = SecretRef.parse(value) if leaf.secret is not None and isinstance(value, str) else None
    if reference is not None:
        try:
            value = reference.resolve(found.environ, folder)
        except SecretUnreadable as error:
            found.refuse(leaf, Problem(source, leaf.key, f"{error}."))
            return
        source = f"{source} ({reference.place}:{reference.name})"
    found.values[leaf.path], found.sources[leaf.path] = value, source


# Validation ---------------------------------------------------------------------------------------


def _validate(found: _Gathering) -> Settings | None:
    tree: dict[str, object] = {}
    for path in found.tables:
        _table(tree, path)
    for path, value in found.values.items():
        _table(tree, path[:-1])[path[-1]] = value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        explained = [_explained(found, mistake) for mistake in error.errors(include_url=False)]
        found.problems.extend(problem for problem in explained if problem is not None)
        return None


def _table(tree: dict[str, object], path: Path_) -> dict[str, object]:
    for name in path:
        tree = tree.setdefault(name, {})  # type: ignore[assignment]  # only tables are put at section paths
    return tree


def _explained(found: _Gathering, mistake: ErrorDetails) -> Problem | None:
    """Say what is wrong; None if that follows from a value that was not taken, which was told already."""
    place = tuple(str(part) for part in mistake["loc"])
    message = f"{_reason(mistake)}."
    for depth in range(len(place), 0, -1):
        if leaf := found.leaf(place[:depth]):
            return _missing(found, leaf) if mistake["type"] == "missing" else _mistaken(found, leaf, _reason(mistake))
    if place[:-1] in found.tables:  # pydantic's place for a mistake in a table's name ends in "[key]"
        return Problem(found.tables[place[:-1]], ".".join(place[:-1]), message)
    if place and any(path[: len(place)] == place for path in found.refused):
        return None
    if place in found.tables:
        return Problem(found.tables[place], ".".join(place), message)
    # A rule about several keys of one section, or of the whole tree: name the sources of those that were given.
    given = [
        source for path, source in found.sources.items() if path[: len(place)] == place and ".".join(path) in message
    ]
    return Problem(" and ".join(given) or DEFAULT_SOURCE, "", message)


def _missing(found: _Gathering, leaf: Leaf) -> Problem | None:
    if leaf.path in found.refused:
        return None
    return Problem(found.tables[leaf.path[:-1]], leaf.key, f"required, and not given: expected {leaf.expected}.")


def _mistaken(found: _Gathering, leaf: Leaf, reason: str) -> Problem:
    return _bad_value(leaf, found.values[leaf.path], found.sources[leaf.path], reason)


def _reason(mistake: ErrorDetails) -> str:
    """The words of our own validators; empty where the expected type says it all."""
    return mistake["msg"].removeprefix("Value error, ") if mistake["type"] == "value_error" else ""


def _bad_value(leaf: Leaf, value: object, source: str, reason: str = "") -> Problem:
    shown = None if leaf.secret is not None else repr(value)
    because = f" ({reason})" if reason else ""
    return Problem(source, leaf.key, f"expected {leaf.expected}{because}.", shown)
