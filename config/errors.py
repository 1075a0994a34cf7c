"""What is wrong with a configuration, in words that lead to the place to correct."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. ``source`` names the file and line or the environment variable.

    ``value`` is what was given, as it may be shown, or None where showing it could show a secret.
    """

    source: str
    key: str
    message: str
    value: str | None = None
    nearest: str | None = None

    def __str__(self) -> str:
        given = "" if self.value is None else f" = {self.value}"
        hint = f" Did you mean {self.nearest}?" if self.nearest else ""
        subject = f"{self.key}{given}: " if self.key else ""
        return f"{self.source}: {subject}{self.message}{hint}"


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` holds every mistake that was found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))
