"""Directory servers that tests share; a pytest plugin.

They are started when first asked for, once for each test process, and shared by all of its tests: a test makes its own
accounts and groups, with names of its own, and leaves what it did not make as it was. A test that stops a server,
changes a domain-wide setting, or counts what is there makes its own ``Slapd`` (0.2 s) or ``SambaAd`` (0.7 s).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.directories.certificates import Authority
from tests.support.directories.samba import SambaAd
from tests.support.directories.slapd import Slapd


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the directory servers of this test process have their certificates from."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def slapd(authority: Authority) -> Iterator[Slapd]:
    """An OpenLDAP server, shared by the tests of this process."""
    with Slapd(authority) as server:
        yield server


@pytest.fixture(scope="session")
def anonymous_slapd(authority: Authority) -> Iterator[Slapd]:
    """An OpenLDAP server that answers a DN with an empty password with success, shared like ``slapd``."""
    with Slapd(authority, allow_anonymous_dn=True) as server:
        yield server


@pytest.fixture(scope="session")
def samba_ad(authority: Authority) -> Iterator[SambaAd]:
    """An Active Directory domain controller, shared by the tests of this process."""
    with SambaAd(authority) as server:
        yield server
