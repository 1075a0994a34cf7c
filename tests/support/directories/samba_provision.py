"""Fills an empty folder with the directory that ``SambaAd`` serves; run by the Python that Samba's tools use.

Usage: samba_provision.py SMB_CONF FOLDER. Only the constants are for other modules; this file is also part of the name
under which the result is kept, so a change here makes a new one.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

REALM = "CORP.TEST"
NETBIOS_DOMAIN = "CORP"
DNS_DOMAIN = "corp.test"
BASE_DN = "DC=corp,DC=test"
STAFF_DN = f"OU=Staff,{BASE_DN}"
LEAVERS_DN = f"OU=Leavers,{BASE_DN}"
GROUPS_DN = f"OU=Groups,{BASE_DN}"
SERVICES_DN = f"OU=Services,{BASE_DN}"
BULK_DN = f"OU=Bulk,{BASE_DN}"
UNITS = (STAFF_DN, LEAVERS_DN, GROUPS_DN, SERVICES_DN, BULK_DN)
ADMIN_PASSWORD = "Adm1n-Passw0rd!"
SERVICE_NAME = "svc-quaymaster"
SERVICE_PASSWORD = "Serv1ce-Passw0rd!"
STAFF = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
# Group -> its members: accounts and groups. A group stands after those that it contains.
GROUPS = {
    "engineering": ("alice", "dave"),
    "staff": ("engineering", "bob"),
    "accounting": ("carol",),  # and below it becomes carol's primary group
}
PRIMARY = {"carol": "accounting"}
BULK = 5000
LARGE_GROUP, LARGE = "everyone-large", 1600
_NORMAL_ACCOUNT = "512"
_NEVER = "-9223372036854775808"


def password_of(name: str) -> str:
    """Give the password that an account of STAFF starts with."""
    return f"Str0ng-{name[::-1]}-pw"


def bulk_name(number: int) -> str:
    """Give the login of a bulk account, from 1 to BULK."""
    return f"bulk{number:04}"


def main() -> None:
    """Make the directory."""
    configuration, folder = sys.argv[1:]
    samdb = _provision(configuration, folder)
    # A kept directory grows old: no password of it may expire.
    _replace(samdb, BASE_DN, maxPwdAge=_NEVER, minPwdAge="0")
    samdb.transaction_start()
    for unit in UNITS:
        samdb.add({"dn": unit, "objectClass": "organizationalUnit"})
    for number in range(1, BULK + 1):
        _add_user(samdb, bulk_name(number), BULK_DN)
    samdb.transaction_commit()
    for name in STAFF:
        _add_user(samdb, name, STAFF_DN, password_of(name))
    _add_user(samdb, SERVICE_NAME, SERVICES_DN, SERVICE_PASSWORD)
    for group, names in GROUPS.items():
        members = [f"CN={name},{GROUPS_DN if name in GROUPS else STAFF_DN}" for name in names]
        _add_group(samdb, group, members)
    _add_group(samdb, LARGE_GROUP, [f"CN={bulk_name(number)},{BULK_DN}" for number in range(1, LARGE + 1)])
    for name, group in PRIMARY.items():
        token = samdb.search(f"CN={group},{GROUPS_DN}", attrs=["primaryGroupToken"])[0]["primaryGroupToken"][0]
        _replace(samdb, f"CN={name},{STAFF_DN}", primaryGroupID=str(token))


def _provision(configuration: str, folder: str) -> Any:
    from samba.auth import system_session
    from samba.dsdb import DS_DOMAIN_FUNCTION_2008_R2
    from samba.param import LoadParm
    from samba.provision import provision

    parameters = LoadParm()
    parameters.load(configuration)
    return provision(
        logging.getLogger("provision"),
        system_session(),
        smbconf=configuration,
        targetdir=folder,
        realm=REALM,
        domain=NETBIOS_DOMAIN,
        hostname="dc1",
        hostip="127.0.0.1",
        adminpass=ADMIN_PASSWORD,
        serverrole="dc",
        dns_backend="NONE",
        dom_for_fun_level=DS_DOMAIN_FUNCTION_2008_R2,
        skip_sysvolacl=True,  # so the file system needs no ACLs and no extended attributes
        batch_mode=True,
        lp=parameters,
    ).samdb


def _add_user(samdb: Any, name: str, unit: str, password: str | None = None) -> None:
    entry: dict[str, str | bytes] = {
        "dn": f"CN={name},{unit}",
        "objectClass": "user",
        "sAMAccountName": name,
        "userPrincipalName": f"{name}@{DNS_DOMAIN}",
        "mail": f"{name}@mail.{DNS_DOMAIN}",
        "displayName": name.capitalize(),
        "userAccountControl": _NORMAL_ACCOUNT,
    }
    if password is not None:
        entry["unicodePwd"] = f'"{password}"'.encode("utf-16-le")
    samdb.add(entry)


def _add_group(samdb: Any, name: str, members: list[str]) -> None:
    dn = f"CN={name},{GROUPS_DN}"
    samdb.add({"dn": dn, "objectClass": "group", "sAMAccountName": name, "member": members})


def _replace(samdb: Any, dn: str, **values: str) -> None:
    import ldb

    message = ldb.Message(ldb.Dn(samdb, dn))
    for name, value in values.items():
        message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
    samdb.modify(message)


if __name__ == "__main__":
    main()
