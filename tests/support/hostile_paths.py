"""A thousand paths that try to leave a root, the same on every run."""

from __future__ import annotations

import random
from collections.abc import Iterator

COUNT = 1000
DOTS = (
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "..%2f",
    "..%5c",
    "..\\",
    "%c0%ae%c0%ae",
    "%e0%80%ae",
    "..;",
    ". .",
    "..\u200b",
    "\uff0e\uff0e",
    "\u2024\u2024",
    "...",
)
SEPARATORS = ("/", "//", "/./", "%2f", "%5c", "\\", "/%2e/", "%252f", "\u2215")
HOSTILE_NAMES = ("\x00", "a\x00b", "a\nb", "a\rb", "\x7f", "\x1b[2J", "n" * 256, "日" * 86, "p/" * 2500, "~", "~root")


def hostile_paths(targets: list[str], *, seed: str) -> Iterator[str]:
    """Give ``COUNT`` paths that would reach one of ``targets`` (absolute real paths) if anything leaked."""
    chance = random.Random(seed)
    fixed = [*targets, *("/" + name for name in HOSTILE_NAMES)]
    fixed += [f"/proc/self/root{target}" for target in targets] + [f"/proc/self/cwd/..{target}" for target in targets]
    yield from fixed
    for _ in range(COUNT - len(fixed)):
        target = chance.choice(targets)
        depth = chance.randrange(1, 12)
        dots = chance.choice(DOTS)
        between = chance.choice(SEPARATORS)
        prefix = chance.choice(("", "/", "//", "/a/", "/./", "\\", "/%00/", "file://", "/dav/"))
        tail = target if chance.random() < 0.5 else chance.choice(["victim/secret.txt", "../victim/secret.txt"])
        yield prefix + between.join([dots] * depth) + chance.choice(("/", between)) + tail.lstrip("/")
