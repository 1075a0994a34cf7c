"""Every setting as one flat list: key, environment variable, type in words, default, documentation."""

from __future__ import annotations

import ast
import inspect
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import EnumType
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from config.secrets import MASK, Masked, MaskedUrl, masked_url
from config.settings import PortRange, Section, Settings

PREFIX = "QUAYMASTER_"
FILE_SUFFIX = "_FILE"

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
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting. ``expected`` says in words which values are accepted."""

    path: tuple[str, ...]
    expected: str
    default: object
    text: str
    secret: Masked | MaskedUrl | None
    is_path: bool
    is_bool: bool

    @property
    def key(self) -> str:
        """The dotted key, as in ``sftp.port``."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable, as in ``QUAYMASTER_SFTP__PORT``."""
        return PREFIX + "__".join(self.path).upper()

    def value(self, settings: Settings) -> object:
        """Read this setting from the tree."""
        value: object = settings
        for name in self.path:
            value = getattr(value, name)
        return value

    def shown(self, value: object) -> object:
        """Give the value as it may be shown: JSON types only, and secrets masked."""
        if value is None or isinstance(value, bool | int | float):
            return MASK if value is not None and isinstance(self.secret, Masked) else value
        match self.secret:
            case Masked():
                return MASK
            case MaskedUrl():
                return masked_url(str(value))
            case None:
                return str(value)


@cache
def leaves() -> tuple[Leaf, ...]:
    """Give every setting, in the order of the model."""
    return tuple(_walk(Settings, ()))


def section_text(path: tuple[str, ...]) -> str:
    """Give the docstring of the section at ``path``; empty path for the whole tree."""
    model: type[Section] = Settings
    for name in path:
        model = typing.cast("type[Section]", model.model_fields[name].annotation)
    return model.__doc__ or ""


def _walk(model: type[Section], path: tuple[str, ...]) -> Iterator[Leaf]:
    texts = _docstrings(model)
    for name, field in model.model_fields.items():
        here = (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _walk(field.annotation, here)
        else:
            yield _leaf(here, field, texts[name])


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
    secret = next((note for note in notes if isinstance(note, Masked | MaskedUrl)), None)
    text = re.sub(r"\s+", " ", docstring).strip()
    return Leaf(path, _expected(kind, notes), field.default, text, secret, kind is Path, kind is bool)


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
    for note in notes:
        name = getattr(getattr(note, "func", None), "__name__", "")
        if name in _TEXTS:
            return _TEXTS[name]
    return _WORDS[kind] + _range(notes)


def _range(notes: list[object]) -> str:
    low = high = ""
    for note in notes:
        match note:
            case annotated_types.Ge(ge=bound):
                low = f" from {bound}"
            case annotated_types.Gt(gt=bound):
                low = f" above {bound}"
            case annotated_types.Le(le=bound):
                high = f" to {bound}"
    return low + high
