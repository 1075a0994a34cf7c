"""One small client per front end with the same verbs and outcomes, for tables of cases x every front end."""

from __future__ import annotations

from tests.support.drivers.api import Credential, Driver, Ports, Refusal, RefusalKind
from tests.support.drivers.ftps import FtpsDriver
from tests.support.drivers.sftp import SftpDriver
from tests.support.drivers.webdav import WebdavDriver

DRIVERS: tuple[type[Driver], ...] = (SftpDriver, FtpsDriver, WebdavDriver)

__all__ = ["DRIVERS", "Credential", "Driver", "Ports", "Refusal", "RefusalKind"]
