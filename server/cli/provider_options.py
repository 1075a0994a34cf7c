"""The settings of a directory as options of a command: one for each field of ``LdapProvider``, documented by it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from config.fields import Leaf, leaves
from config.ldap import LdapProvider, ProviderInvalid, provider_from
from server.cli import values
from server.cli.output import Failure

SECRET = "bind_password"  # noqa: S105 - the name of a setting
REQUIRED = ("hosts", "vendor", "base_dn", "bind_user")
CLEARED = "The empty text puts a setting back to its default."


class Kind(Enum):
    """How a setting is written on the command line."""

    TEXT = "text"
    PATH = "path"
    TIME = "time"
    LIST = "list"  # repeatable, or separated by commas
    NAMES = "names"  # repeatable; a comma may be part of a name


@dataclass(frozen=True, slots=True)
class Setting:
    """One option."""

    field: str
    option: str
    metavar: str
    kind: Kind = Kind.TEXT

    @property
    def repeatable(self) -> bool:
        """Whether the option may be given more than once."""
        return self.kind in {Kind.LIST, Kind.NAMES}

    def value(self, given: str | list[str]) -> object:
        """Read what was typed, as far as the model does not; the empty text gives None. Raises Failure."""
        if isinstance(given, list):
            texts = values.texts(given) if self.kind is Kind.LIST else tuple(text for text in given if text)
            return list(texts) or None
        match self.kind:
            case _ if not given:
                return None
            case Kind.PATH:
                return str(Path(given).absolute())
            case Kind.TIME:
                return values.interval(given, self.option)
            case _:
                return given


SETTINGS = (
    Setting("hosts", "--host", "NAME[:PORT]", Kind.LIST),
    Setting("security", "--security", "ldaps|starttls"),
    Setting("ca_file", "--ca-file", "FILE", Kind.PATH),
    Setting("tls_name", "--tls-name", "NAME"),
    Setting("vendor", "--vendor", "VENDOR"),
    Setting("base_dn", "--base-dn", "DN"),
    Setting("user_base_dn", "--user-base-dn", "DN"),
    Setting("group_base_dn", "--group-base-dn", "DN"),
    Setting("bind_user", "--bind-user", "DN"),
    Setting("user_filter", "--user-filter", "FILTER"),
    Setting("group_filter", "--group-filter", "FILTER"),
    Setting("id_attribute", "--id-attribute", "ATTRIBUTE"),
    Setting("login_attribute", "--login-attribute", "ATTRIBUTE"),
    Setting("alias_attributes", "--alias-attribute", "ATTRIBUTE", Kind.LIST),
    Setting("domain", "--domain", "NAME"),
    Setting("upn_suffix", "--upn-suffix", "SUFFIX"),
    Setting("groups_include", "--groups-include", "PATTERN", Kind.NAMES),
    Setting("groups_exclude", "--groups-exclude", "PATTERN", Kind.NAMES),
    Setting("groups_required", "--groups-required", "PATTERN", Kind.NAMES),
    Setting("default_group", "--default-group", "GROUP"),
    Setting("protocols", "--protocols", "LIST", Kind.LIST),
    Setting("home_layout", "--home-layout", "name|id"),
    Setting("on_departure", "--on-departure", "disable|delete"),
    Setting("sync_interval_s", "--sync-interval", "TIME", Kind.TIME),
    Setting("full_sync_interval_s", "--full-sync-interval", "TIME", Kind.TIME),
    Setting("max_disabled_percent", "--max-disabled-percent", "NUMBER"),
    Setting("max_disabled_count", "--max-disabled-count", "NUMBER"),
    Setting("timeout_s", "--timeout", "TIME", Kind.TIME),
    Setting("connections", "--connections", "NUMBER"),
    Setting("lockout_threshold", "--lockout-threshold", "NUMBER"),
    Setting("lockout_window_s", "--lockout-window", "TIME", Kind.TIME),
)

_OPTIONS = {SECRET: "the service account's password", **{setting.field: setting.option for setting in SETTINGS}}
_FIELD = re.compile(rf"\b({'|'.join(field for field in _OPTIONS if '_' in field)})\b")  # others are plain words


@dataclass(frozen=True, slots=True)
class Given:
    """What was named on the command line, by field; everything else is absent."""

    settings: Mapping[str, str | list[str]]

    def onto(self, options: Mapping[str, object]) -> dict[str, object]:
        """Give these options with what was named in place of what was there. Raises Failure."""
        told = {setting.field: setting for setting in SETTINGS}
        named = {field: told[field].value(given) for field, given in self.settings.items()}
        merged = {**options, **named}
        return {field: value for field, value in merged.items() if value is not None}


def directory_from(options: Mapping[str, object]) -> LdapProvider:
    """Make a directory of options that stand in the database or were typed. Raises Failure with all mistakes."""
    missing = [f"{_OPTIONS[field]} must be given" for field in REQUIRED if field not in options]
    problems = missing
    if not missing:
        try:
            return provider_from(options)
        except ProviderInvalid as error:
            problems = [_worded(problem) for problem in error.problems]
    raise Failure("These settings make no directory.", "; ".join(problems), "correct them; each has a line in --help")


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting; it gets what was named as ``given``, a Given.

    Typer reads options from a function's signature, so the signature is made here.
    """
    own = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)

    def run(**arguments: Any) -> None:  # Any: whatever Typer gives
        typed = {setting.field: arguments.pop(setting.field) for setting in SETTINGS}
        command(**arguments, given=Given({field: value for field, value in typed.items() if value not in (None, [])}))

    kept = [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in own.parameters.values()
        if parameter.name != "given"
    ]
    parameters = [kept[0], *map(_parameter, SETTINGS), *kept[1:]]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__dict__["__signature__"] = own.replace(parameters=parameters, return_annotation=None)
    return run


def _parameter(setting: Setting) -> inspect.Parameter:
    option = typer.Option(setting.option, metavar=setting.metavar, help=_help(setting))
    annotation = Annotated[list[str] | None, option] if setting.repeatable else Annotated[str | None, option]
    return inspect.Parameter(setting.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _help(setting: Setting) -> str:
    leaf = _leaf(setting.field)
    text = leaf.text.replace("``", "").replace("Seconds", "Time") if setting.kind is Kind.TIME else leaf.text
    words = [_FIELD.sub(lambda match: _OPTIONS[match[0]], text.replace("``", ""))]
    if setting.field == "vendor":
        words.append(f"{leaf.expected.capitalize()}.")
    if setting.kind is Kind.LIST:
        words.append("Repeatable, or separated by commas.")
    if setting.kind is Kind.NAMES:
        words.append("Repeatable.")
    if leaf.default not in (None, (), frozenset()):
        words.append(f"Default: {_shown_default(leaf)}.")
    return " ".join(words)


def _shown_default(leaf: Leaf) -> str:
    if isinstance(leaf.default, tuple):
        return ", ".join(str(part) for part in leaf.default)
    return values.shown_interval(leaf.default) if isinstance(leaf.default, float) else str(leaf.default)


def _leaf(field: str) -> Leaf:
    return next(leaf for leaf in leaves() if leaf.path[0] == "ldap" and leaf.path[-1] == field)


def _worded(problem: str) -> str:
    """Speak of options where the model speaks of fields; ``hosts.0`` is one of several hosts."""
    where, colon, what = problem.partition(": ")
    field = where.partition(".")[0]
    sentence = f"{_OPTIONS[field]}: {what}" if colon and field in _OPTIONS else problem
    return _FIELD.sub(lambda match: _OPTIONS[match[0]], sentence.replace("hosts names", "--host names"))
