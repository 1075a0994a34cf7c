"""Every setting as one flat list: key, environment variable, type in words, default, documentation."""

from __future__ import annotations

import ast
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import EnumType
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from config.providers import WAYS_IN
from config.secrets import MASK, Masked, MaskedUrl, masked_url
from config.sections import Section
from config.settings import PortRange, Settings

PREFIX = "QUAYMASTER_"
FILE_SUFFIX = "_FILE"
NAME = "NAME"
"""Stands in a path for the name that the operator gives to a table, as in ``ldap.NAME.hosts``."""

_WORDS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    PortRange: "a port range FIRST-LAST within 1-65535",
}
_TEXTS = {
    "_address": "an IPv4 or IPv6 address",
    "_ipv4_address": "an IPv4 address",
    "_known_database": "a sqlite: or postgresql: URL",
    "_host": "NAME or NAME:PORT",
    "_attribute": "the name of an LDAP attribute",
    "_filter": "an LDAP filter in parentheses",
    "_distinguished_name": "a distinguished name such as dc=example,dc=org",
    "_origin": "an address such as https://files.example.org",
    "_https": "an https address",
    "_fingerprint": "a SHA-256 fingerprint",
    "_domain": "a domain such as example.org",
    "_tenant": "a tenant's id",
    "_date": "a date YYYY-MM-DD",
    "_way_in": f"one of: {', '.join(WAYS_IN)}",
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting. ``expected`` says in words which values are accepted.

    A ``named`` one lies in a table whose name the operator chooses: ``NAME`` stands for it in the path until
    :meth:`of` fills it in. A ``required`` one has no default, and must be given wherever its table is.
    """

    path: tuple[str, ...]
    expected: str
    default: object
    text: str
    secret: Masked | MaskedUrl | None
    is_path: bool
    is_bool: bool
    required: bool
    named: bool

    @property
    def key(self) -> str:
        """The dotted key, as in ``sftp.port``."""
        return ".".join(self.path)

    @property
    def variable(self) -> str | None:
        """The environment variable, as in ``QUAYMASTER_SFTP__PORT``; None in tables that the operator names."""
        return None if self.named else PREFIX + "__".join(self.path).upper()

    def of(self, name: str) -> Leaf:
        """Give the same setting in the table called ``name``."""
        return replace(self, path=tuple(name if part == NAME else part for part in self.path))

    def value(self, settings: Settings) -> object:
        """Read this setting from the tree."""
        value: object = settings
        for name in self.path:
            value = value[name] if isinstance(value, Mapping) else getattr(value, name)
        return value

    def shown(self, value: object) -> object:
        """Give the value as it may be shown: JSON types only, and secrets masked."""
        match self.secret, value:
            case _, None:
                return None
            case Masked(), _:
                return MASK
            case _, bool() | int() | float():
                return value
            case _, tuple() | frozenset():
                return texts(value)
            case MaskedUrl(), _:
                return masked_url(str(value))
            case _:
                return str(value)


@cache
def leaves() -> tuple[Leaf, ...]:
    """Give every setting, in the order of the model; those of named tables once, with ``NAME`` in their paths."""
    return tuple(_walk(Settings, ()))


@cache
def named_tables() -> frozenset[tuple[str, ...]]:
    """Give the paths of the tables whose members have names that the operator chooses, such as ``ldap``."""
    return frozenset(leaf.path[: leaf.path.index(NAME)] for leaf in leaves() if leaf.named)


def template(path: tuple[str, ...]) -> tuple[str, ...]:
    """Give the path with ``NAME`` in place of the name that the operator chose, if it holds one."""
    for table in named_tables():
        if len(path) > len(table) and path[: len(table)] == table:
            return (*table, NAME, *path[len(table) + 1 :])
    return path


def leaves_of(settings: Settings) -> tuple[Leaf, ...]:
    """Give every setting that this tree holds: those of a named table once for each name."""
    return tuple(_filled_in(settings))


def texts(values: tuple[object, ...] | frozenset[object]) -> list[str]:
    """Give the texts of a list; those of a set in alphabetical order."""
    found = [str(value) for value in values]
    return sorted(found) if isinstance(values, frozenset) else found


def section_text(path: tuple[str, ...]) -> str:
    """Give the docstring of the section at ``path``; empty path for the whole tree."""
    model: Any = Settings
    for name in path:
        if name != NAME:
            annotation = model.model_fields[name].annotation
            model = _member(annotation) or annotation
    return model.__doc__ or ""


def _filled_in(settings: Settings) -> Iterator[Leaf]:
    for section, found in groupby(leaves(), key=lambda leaf: leaf.path[:-1]):
        if NAME not in section:
            yield from found
            continue
        inner = tuple(found)
        table: Any = settings
        for part in section[: section.index(NAME)]:
            table = getattr(table, part)
        for name in table:
            yield from (leaf.of(name) for leaf in inner)


def _walk(model: type[Section], path: tuple[str, ...]) -> Iterator[Leaf]:
    documented = _docstrings(model)
    for name, field in model.model_fields.items():
        here = (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _walk(field.annotation, here)
        elif member := _member(field.annotation):
            yield from _walk(member, (*here, NAME))
        else:
            yield _leaf(here, field, documented[name])


def _member(annotation: Any) -> type[Section] | None:
    """Give the model of a table's members, if the operator names these."""
    return typing.cast("type[Section]", get_args(annotation)[1]) if get_origin(annotation) is dict else None


def _docstrings(model: type[Section]) -> dict[str, str]:
    """Read the docstring under each field from the source, which a worker's import of the model shall not pay for."""
    (definition,) = ast.parse(inspect.getsource(model)).body
    texts: dict[str, str] = {}
    for field, below in pairwise(typing.cast("ast.ClassDef", definition).body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = text
    return texts


def _leaf(path: tuple[str, ...], field: FieldInfo, docstring: str) -> Leaf:
    kind, notes = _unwrap(field.annotation, list(field.metadata))
    return Leaf(
        path,
        _expected(kind, notes),
        default=None if field.is_required() else field.default,
        text=re.sub(r"\s+", " ", docstring).strip(),
        secret=next((note for note in notes if isinstance(note, Masked | MaskedUrl)), None),
        is_path=kind is Path,
        is_bool=kind is bool,
        required=field.is_required(),
        named=NAME in path,
    )


def _unwrap(annotation: Any, notes: list[object]) -> tuple[Any, list[object]]:
    """Take ``Annotated`` and ``| None`` off a type, collecting its notes."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _unwrap(inner, [*notes, *_flat(more)])
    if get_origin(annotation) in {Union, types.UnionType}:
        (inner,) = (part for part in get_args(annotation) if part is not type(None))
        return _unwrap(inner, notes)
    return annotation, notes


def _flat(notes: list[Any]) -> Iterator[object]:
    for note in notes:
        yield from note.metadata if isinstance(note, FieldInfo) else (note,)


def _expected(kind: Any, notes: list[object]) -> str:
    if isinstance(kind, EnumType):
        return "one of: " + ", ".join(str(member) for member in kind)  # type: ignore[var-annotated]  # members of an unknown enum
    if get_origin(kind) is Literal:
        return "one of: " + ", ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) in {tuple, frozenset}:
        return _list(_expected(*_unwrap(get_args(kind)[0], [])), notes)
    for note in notes:
        name = getattr(getattr(note, "func", None), "__name__", "")
        if name in _TEXTS:
            return _TEXTS[name]
    size = _range(notes)
    return _WORDS[kind] + (f" of{size.replace(' from', '')} characters" if size and kind is str else size)


def _list(each: str, notes: list[object]) -> str:
    size = _range(notes).replace(" from", "")
    return f"a list of{size} texts" + ("" if each == _WORDS[str] else f", each {each}")


def _range(notes: list[object]) -> str:
    low = high = ""
    for note in notes:
        match note:
            case annotated_types.Ge(ge=bound) | annotated_types.MinLen(min_length=bound):
                low = f" from {bound}"
            case annotated_types.Gt(gt=bound):
                low = f" above {bound}"
            case annotated_types.Le(le=bound) | annotated_types.MaxLen(max_length=bound):
                high = f" to {bound}"
    return low + high
