"""What providers of every kind share: their names, what a new user gets, and settings that came from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, ValidationError
from pydantic_core import ErrorDetails

from config.sections import Section

WAYS_IN = ("sftp", "ftps", "webdav", "api", "portal")
PROVIDER_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)

S = TypeVar("S", bound=Section)


class HomeLayout(StrEnum):
    """What the home folder of a new user is called; it stays whatever the provider changes later."""

    NAME = "name"
    ID = "id"


def _way_in(text: str) -> str:
    if text not in WAYS_IN:
        message = f"{text!r} is none of them"
        raise ValueError(message)
    return text


WayIn = Annotated[str, AfterValidator(_way_in)]


class ProviderInvalid(ValueError):
    """The settings make no provider; ``problems`` say why, one sentence each, and hold no secret."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def made_from(model: type[S], options: Mapping[str, object]) -> S:
    """Make a provider of settings that came from elsewhere than the TOML file. Raises ProviderInvalid."""
    try:
        return model.model_validate(options)
    except ValidationError as error:
        raise ProviderInvalid(tuple(_sentence(mistake) for mistake in error.errors(include_url=False))) from None


def _sentence(mistake: ErrorDetails) -> str:
    where = ".".join(str(part) for part in mistake["loc"])
    what = mistake["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
