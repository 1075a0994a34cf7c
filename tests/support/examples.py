"""How many examples Hypothesis tries: a fifth of them with ``--hypothesis-profile=inner``, as in `make check`."""

from __future__ import annotations

from hypothesis import settings

_ALL, _FIFTH = 100, 20

settings.register_profile("all", max_examples=_ALL, deadline=None)  # other tests share the machine
settings.register_profile("inner", max_examples=_FIFTH, deadline=None)
settings.load_profile("all")


def examples(count: int) -> settings:
    """Try so many examples, instead of 100, or as much fewer as the profile says."""
    return settings(max_examples=count * settings.default.max_examples // _ALL, deadline=None)
