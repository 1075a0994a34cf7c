"""Fixtures that every test may ask for."""

from __future__ import annotations

pytest_plugins = [
    "tests.support.chromium",
    "tests.support.dav_site",
    "tests.support.directories.fixtures",
    "tests.support.examples",
    "tests.support.postgres",
    "tests.support.shared_server",
    "tests.support.statements",
    "tests.support.stores",
]
