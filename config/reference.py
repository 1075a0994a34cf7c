"""Renders docs/configuration.md from the model, so that the two cannot differ."""

from __future__ import annotations

from itertools import groupby

from config.fields import Leaf, leaves, section_text
from config.secrets import MaskedUrl

HEAD = """\
# Configuration

<!-- Generated from config/settings.py: `quaymaster config reference > docs/configuration.md`. A test compares the two. -->

Every setting has a default; an empty configuration is a working one. A later source wins over an earlier one:

1. the defaults below;
2. the TOML file given by `--config FILE`;
3. the environment variable named beside each setting (a variable set to the empty text counts as not set);
4. a file named by the same variable with `_FILE` appended, for example `QUAYMASTER_DATABASE__URL_FILE=/run/secrets/db`.
   Its text without the last line break is the value.

A setting marked *secret* may also say where its value is kept instead of holding it: `file:/run/secrets/db` or
`env:PGURL`. Passwords in it are shown as `***` by `quaymaster config show` and in every error.

A relative path in the TOML file starts at that file's folder. A relative path in the environment, and the default of
`data`, start at the working directory of the process.

Unknown keys, unknown `QUAYMASTER_` variables and values out of range are refused at start, all of them together, each
with its file and line or variable and the nearest known key. `quaymaster config check` does the same without starting
anything; `quaymaster config show` prints every value and where it came from. Examples are in `config/examples/`.
"""

RULES = """\
## Rules between settings

- Each listener needs its own port, and none may lie in `ftps.passive_ports`. Front ends that are switched off do not count.
- `tls.certificate` and `tls.key` are set both or neither.
"""


def render() -> str:
    """Give the whole reference as Markdown, ending with a line break."""
    parts = [HEAD]
    for section, settings in groupby(leaves(), key=lambda leaf: leaf.path[:-1]):
        parts.append(_section(section, list(settings)))
    return "\n".join([*parts, RULES])


def _section(section: tuple[str, ...], settings: list[Leaf]) -> str:
    title = f"`[{'.'.join(section)}]`" if section else "Top level"
    intro = section_text(section).strip()
    return "\n".join([f"## {title}", "", intro, "", *(line for leaf in settings for line in _setting(leaf))])


def _setting(leaf: Leaf) -> list[str]:
    secret = " (secret)" if leaf.secret is not None else ""
    return [
        f"### `{leaf.key}`{secret}",
        "",
        leaf.text.replace("``", "`"),
        "",
        f"- Value: {leaf.expected}{_reference_note(leaf)}",
        f"- Default: {_default(leaf)}",
        f"- Environment: `{leaf.variable}`",
        "",
    ]


def _reference_note(leaf: Leaf) -> str:
    return ", or a `file:` or `env:` reference" if isinstance(leaf.secret, MaskedUrl) else ""


def _default(leaf: Leaf) -> str:
    match leaf.default:
        case None:
            return "not set"
        case bool():
            return f"`{str(leaf.default).lower()}`"
        case _:
            return f"`{leaf.default}`"
