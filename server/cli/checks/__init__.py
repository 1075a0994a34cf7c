"""What ``quaymaster doctor`` looks at: one file for each subject, one function for each check."""

from __future__ import annotations

from collections.abc import Iterator

from config.settings import Settings
from server.cli.checks.check import Check, Outcome
from server.cli.checks.data import check_data, check_database, check_people, check_space
from server.cli.checks.keys import check_certificate, check_host_keys
from server.cli.checks.machine import check_clock, check_kernel, check_open_files, check_python
from server.cli.checks.ports import check_ports
from server.cli.checks.providers import check_providers

__all__ = ["Check", "Outcome", "run_checks"]


def run_checks(settings: Settings) -> list[Check]:
    """Run every check, in the order in which a person would correct things. Changes nothing."""
    return list(_all(settings))


def _all(settings: Settings) -> Iterator[Check]:
    yield check_python()
    yield check_kernel()
    yield check_open_files()
    yield check_clock()
    yield check_data(settings)
    yield check_space(settings)
    yield check_database(settings)
    yield check_people(settings)
    yield check_host_keys(settings)
    yield check_certificate(settings)
    yield from check_providers(settings)
    yield from check_ports(settings)
