"""Options of a command drawn from the models of providers: one for each field, documented by it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from config.fields import Leaf
from config.ldap import LdapProvider
from config.providers import ProviderInvalid, made_from
from config.sections import Section
from config.sso import SsoProvider
from server.cli import values
from server.cli.output import Failure
from server.cli.provider.settings import CLIENT_SECRET, LDAP_KIND, SECRET, SSO_KIND, Form, ProviderKind, Setting

CLEARED = "The empty text puts a setting back to its default."
KINDS = (LDAP_KIND, SSO_KIND)

S = TypeVar("S", bound=Section)
_WORDS = {
    SECRET: "the service account's password",
    CLIENT_SECRET: "--client-secret-stdin",
    **{field: option for kind in KINDS for field, option in kind.options.items()},
}
_FIELD = re.compile(rf"\b({'|'.join(field for field in _WORDS if '_' in field)})\b")  # others are plain words


@dataclass(frozen=True, slots=True)
class Given:
    """What was named on the command line, by field; everything else is absent."""

    settings: Mapping[str, str | list[str]]

    def onto(self, options: Mapping[str, object]) -> dict[str, object]:
        """Give these options with what was named in place of what was there. Raises Failure."""
        told = {setting.field: setting for kind in KINDS for setting in kind.settings}
        named = {field: told[field].value(given) for field, given in self.settings.items()}
        merged = {**options, **named}
        return {field: value for field, value in merged.items() if value is not None}

    def refuse_foreign(self, name: str, kind: ProviderKind, *, also: Mapping[str, bool] | None = None) -> None:
        """Raise Failure if an option was named that providers of this kind do not have; ``also`` are named flags."""
        foreign = [_WORDS[field] for field in self.settings if field not in kind.options]
        foreign += [option for option, is_named in (also or {}).items() if is_named]
        if foreign:
            article = "an" if kind.noun[0] in "aeiou" else "a"
            raise Failure(
                f"{', '.join(foreign)} {'does' if len(foreign) == 1 else 'do'} not go with {name!r}.",
                f"it is {article} {kind.noun}, kind {kind.name}; it has: {', '.join(kind.options.values())}",
                "leave it away" if len(foreign) == 1 else "leave them away",
            )


def directory_from(options: Mapping[str, object]) -> LdapProvider:
    """Make a directory of options that stand in the database or were typed. Raises Failure with all mistakes."""
    return _made(LDAP_KIND, LdapProvider, options)


def identity_provider_from(options: Mapping[str, object]) -> SsoProvider:
    """Make an identity provider of options, likewise. Raises Failure with all mistakes."""
    return _made(SSO_KIND, SsoProvider, options)


def _made(kind: ProviderKind, model: type[S], options: Mapping[str, object]) -> S:
    missing = [f"{kind.options[field]} must be given" for field in kind.required if field not in options]
    problems = missing
    if not missing:
        try:
            return made_from(model, options)
        except ProviderInvalid as error:
            problems = [_worded(problem) for problem in error.problems]
    raise Failure(
        f"These settings make no {kind.noun}.", "; ".join(problems), "correct them; each has a line in --help"
    )


def takes_settings(*kinds: ProviderKind) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each setting of these kinds; it gets what was named as ``given``, a Given.

    Typer reads options from a function's signature, so the signature is made here.
    """
    settings = {setting.field: setting for kind in kinds for setting in kind.settings}

    def adorn(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command)
        hints = get_type_hints(command, include_extras=True)

        def run(**arguments: Any) -> None:  # Any: whatever Typer gives
            typed = {field: arguments.pop(field) for field in settings}
            named = {field: value for field, value in typed.items() if value not in (None, [])}
            command(**arguments, given=Given(named))

        kept = [
            parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in own.parameters.values()
            if parameter.name != "given"
        ]
        drawn = [_parameter(setting, kinds) for setting in settings.values()]
        parameters = [kept[0], *drawn, *kept[1:]]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__dict__["__signature__"] = own.replace(parameters=parameters, return_annotation=None)
        return run

    return adorn


def _parameter(setting: Setting, kinds: tuple[ProviderKind, ...]) -> inspect.Parameter:
    having = [kind for kind in kinds if setting.field in kind.options]
    panel = None if len(having) == len(kinds) else f"Only for {having[0].name} providers"
    texts = dict.fromkeys(_help(setting, kind) for kind in having)
    if len(texts) > 1:
        texts = dict.fromkeys(f"Of {kind.name} providers: {_help(setting, kind)}" for kind in having)
    option = typer.Option(setting.option, metavar=setting.metavar, help=" ".join(texts), rich_help_panel=panel)
    annotation = Annotated[list[str] | None, option] if setting.repeatable else Annotated[str | None, option]
    return inspect.Parameter(setting.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _help(setting: Setting, kind: ProviderKind) -> str:
    leaf = kind.leaf(setting.field)
    text = leaf.text.replace("``", "").replace("Seconds", "Time") if setting.form is Form.TIME else leaf.text
    words = [_FIELD.sub(lambda match: _WORDS[match[0]], text.replace("``", ""))]
    if setting.field == "vendor":
        words.append(f"{leaf.expected.capitalize()}.")
    if setting.form is Form.LIST:
        words.append("Repeatable, or separated by commas.")
    if setting.form is Form.NAMES:
        words.append("Repeatable.")
    if leaf.default not in (None, (), frozenset()):
        words.append(f"Default: {_shown_default(leaf)}.")
    return " ".join(words)


def _shown_default(leaf: Leaf) -> str:
    if isinstance(leaf.default, tuple):
        return ", ".join(str(part) for part in leaf.default)
    return values.shown_interval(leaf.default) if isinstance(leaf.default, float) else str(leaf.default)


def _worded(problem: str) -> str:
    """Speak of options where the model speaks of fields; ``hosts.0`` is one of several hosts."""
    where, colon, what = problem.partition(": ")
    field = where.partition(".")[0]
    sentence = f"{_WORDS[field]}: {what}" if colon and field in _WORDS else problem
    return _FIELD.sub(lambda match: _WORDS[match[0]], sentence.replace("hosts names", "--host names"))
