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
from config.fields import FILE_SUFFIX, PREFIX, Leaf, leaves
from config.secrets import SecretRef, SecretUnreadable, read_secret_file
from config.settings import Settings
from config.toml_lines import line_of

Path_ = tuple[str, ...]
DEFAULT_SOURCE = "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for every key that was given, where its value came from."""

    settings: Settings
    sources: Mapping[str, str]


@dataclass(slots=True)
class _Gathering:
    """What has been read so far: values by path, their sources, and the mistakes."""

    environ: Mapping[str, str]
    values: dict[Path_, object] = field(default_factory=dict)
    sources: dict[Path_, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    by_path: dict[Path_, Leaf] = field(default_factory=lambda: {leaf.path: leaf for leaf in leaves()})
    sections: frozenset[Path_] = field(
        default_factory=lambda: frozenset(leaf.path[:depth] for leaf in leaves() for depth in range(len(leaf.path)))
    )


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
        if here in found.sections:
            if isinstance(value, dict):
                _take_table(found, value, here, file)
            else:
                key = ".".join(here)
                found.problems.append(Problem(file.source_of(here), key, f"expected a table [{key}]."))
        elif leaf := found.by_path.get(here):
            _take_toml_value(found, leaf, value, file)
        else:
            found.problems.append(_unknown_key(found, here, file.source_of(here)))


def _take_toml_value(found: _Gathering, leaf: Leaf, value: object, file: _TomlFile) -> None:
    source = file.source_of(leaf.path)
    if isinstance(value, bool) and not leaf.is_bool:  # pydantic would take true for the number 1
        found.problems.append(_bad_value(leaf, value, source))
        return
    if leaf.is_path and isinstance(value, str) and value:
        value = str(file.folder / value)
    _take(found, leaf, value, source, file.folder)


def _unknown_key(found: _Gathering, path: Path_, source: str) -> Problem:
    depth = len(path) - 1
    around = [known for known in (*found.by_path, *found.sections) if len(known) > depth and known[:depth] == path[:-1]]
    siblings = sorted({known[depth] for known in around})
    near = get_close_matches(path[-1], siblings, n=1)
    everywhere = get_close_matches(".".join(path), [leaf.key for leaf in leaves()], n=1)
    elsewhere = [leaf.key for leaf in leaves() if leaf.path[-1] == path[-1]]
    nearest = ".".join((*path[:-1], near[0])) if near else next(iter(elsewhere + everywhere), None)
    where = f"[{'.'.join(path[:-1])}]" if path[:-1] else "the top level"
    return Problem(source, ".".join(path), f"unknown key. Known keys of {where}: {', '.join(siblings)}.", None, nearest)


# The environment ----------------------------------------------------------------------------------


def _read_environment(found: _Gathering) -> None:
    by_variable = {leaf.variable: leaf for leaf in leaves()}
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
        else:
            near = get_close_matches(variable, list(by_variable), n=1)
            found.problems.append(Problem(source, "", "unknown variable.", None, near[0] if near else None))
    for leaf, variable, name in files:
        source = f"environment variable {variable} (file {name})"
        try:
            text = read_secret_file(here / name)
        except SecretUnreadable as error:
            found.problems.append(Problem(source, leaf.key, f"{error}."))
        else:
            found.values[leaf.path], found.sources[leaf.path] = text, source


def _take(found: _Gathering, leaf: Leaf, value: object, source: str, folder: Path) -> None:
    """Keep a value, following a reference where the setting is a secret."""
    reference = SecretRef.parse(value) if leaf.secret is not None and isinstance(value, str) else None
    if reference is not None:
        try:
            value = reference.resolve(found.environ, folder)
        except SecretUnreadable as error:
            found.problems.append(Problem(source, leaf.key, f"{error}."))
            return
        source = f"{source} ({reference.place}:{reference.name})"
    found.values[leaf.path], found.sources[leaf.path] = value, source


# Validation ---------------------------------------------------------------------------------------


def _validate(found: _Gathering) -> Settings | None:
    tree: dict[str, object] = {}
    for path, value in found.values.items():
        table = tree
        for name in path[:-1]:
            table = table.setdefault(name, {})  # type: ignore[assignment]  # only tables are put at section paths
        table[path[-1]] = value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        for mistake in error.errors(include_url=False):
            found.problems.append(_explained(found, mistake))
        return None


def _explained(found: _Gathering, mistake: ErrorDetails) -> Problem:
    place = tuple(str(part) for part in mistake["loc"])
    for depth in range(len(place), 0, -1):
        if leaf := found.by_path.get(place[:depth]):
            return _bad_value(leaf, found.values[leaf.path], found.sources[leaf.path], _reason(mistake))
    # A rule about several keys of one section, or of the whole tree: name the sources of those that were given.
    message = f"{_reason(mistake)}."
    given = [
        source for path, source in found.sources.items() if path[: len(place)] == place and ".".join(path) in message
    ]
    return Problem(" and ".join(given) or DEFAULT_SOURCE, "", message)


def _reason(mistake: ErrorDetails) -> str:
    """The words of our own validators; empty where the expected type says it all."""
    return mistake["msg"].removeprefix("Value error, ") if mistake["type"] == "value_error" else ""


def _bad_value(leaf: Leaf, value: object, source: str, reason: str = "") -> Problem:
    shown = None if leaf.secret is not None else repr(value)
    because = f" ({reason})" if reason else ""
    return Problem(source, leaf.key, f"expected {leaf.expected}{because}.", shown)
