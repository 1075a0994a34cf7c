"""What an administrator of the Active Directory double can do to accounts and groups; part of ``SambaAd``."""

from __future__ import annotations

import uuid
from typing import Any

from ldap3 import BASE, MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE, SUBTREE, Connection
from ldap3.utils.conv import escape_filter_chars

from tests.support.directories import samba_provision as plan

ENABLED, DISABLED = "512", "514"
TICKS_PER_S = 10_000_000
_LONG_AGO = "116444736000000000"  # 1970 as a Windows time
_SHORTEST_AGE_S = 2 * 86400  # Samba 4.17 takes a maximum age of a day or less for none
_PSO_FOLDER = f"CN=Password Settings Container,CN=System,{plan.BASE_DN}"


class SambaAccounts:
    """Changes by name (sAMAccountName), made over LDAPS as Administrator; a failed one raises ldap3's error."""

    def administrator(self) -> Connection:
        """Give an LDAPS connection bound as Administrator, to use in ``with``; it raises for failed operations."""
        raise NotImplementedError

    def samba_tool(self, *arguments: str) -> str:
        """Run samba-tool on the server's files, which also works while it runs, and give its output."""
        raise NotImplementedError

    def modify_files(self, text: str, *options: str) -> None:
        """Make the changes of an LDIF text in the server's files, with options of ldbmodify for what LDAP forbids."""
        raise NotImplementedError

    @staticmethod
    def password_of(name: str) -> str:
        """Give the password that a person of ``staff`` starts with."""
        return plan.password_of(name)

    @staticmethod
    def bulk_name(number: int) -> str:
        """Give the login of a bulk account, from 1 to 5,000."""
        return plan.bulk_name(number)

    def entry(self, name: str) -> dict[str, list[bytes]]:
        """Give the attributes of an account or group that are not constructed, as the server sends them."""
        with self.administrator() as connection:
            dn = _dn(connection, name)
            connection.search(dn, "(objectClass=*)", BASE, attributes=["*"])
            return dict(connection.response[0]["raw_attributes"])

    def dn_of(self, name: str) -> str:
        """Give the DN of an account or group."""
        with self.administrator() as connection:
            return _dn(connection, name)

    def guid_of(self, name: str) -> uuid.UUID:
        """Give the objectGUID of an account or group."""
        return uuid.UUID(bytes_le=self.entry(name)["objectGUID"][0])

    def create_user(self, name: str, password: str, ou_dn: str = plan.STAFF_DN, **attributes: str) -> str:
        """Add an enabled account with a userPrincipalName and ``mail`` unless given otherwise, and give its DN."""
        dn = f"CN={name},{ou_dn}"
        values = {
            "sAMAccountName": name,
            "userPrincipalName": f"{name}@{plan.DNS_DOMAIN}",
            "mail": f"{name}@mail.{plan.DNS_DOMAIN}",
            "userAccountControl": ENABLED,
            "unicodePwd": _quoted(password),
        }
        with self.administrator() as connection:
            connection.add(dn, "user", values | attributes)
        return dn

    def create_group(self, name: str, *members: str) -> str:
        """Add a global security group and give its DN."""
        dn = f"CN={name},{plan.GROUPS_DN}"
        with self.administrator() as connection:
            values: dict[str, Any] = {"sAMAccountName": name}
            if members:
                values["member"] = [_dn(connection, member) for member in members]
            connection.add(dn, "group", values)
        return dn

    def add_to_group(self, group: str, name: str) -> None:
        """Make an account or a group a member of a group."""
        with self.administrator() as connection:
            connection.modify(_dn(connection, group), {"member": [(MODIFY_ADD, [_dn(connection, name)])]})

    def remove_from_group(self, group: str, name: str) -> None:
        """End a membership."""
        with self.administrator() as connection:
            connection.modify(_dn(connection, group), {"member": [(MODIFY_DELETE, [_dn(connection, name)])]})

    def disable(self, name: str) -> None:
        """Disable an account: the right password gets 533, a wrong one 52e."""
        self.set(name, userAccountControl=DISABLED)

    def enable(self, name: str) -> None:
        """Enable an account again."""
        self.set(name, userAccountControl=ENABLED)

    def unlock(self, name: str) -> None:
        """Unlock an account and forget its failures."""
        self.set(name, lockoutTime="0")

    def set_password(self, name: str, new: str) -> None:
        """Give an account another password; this does not unlock it."""
        self.set(name, unicodePwd=_quoted(new))

    def expire_account(self, name: str) -> None:
        """Let an account have ended in 1970: the right password gets 701."""
        self.set(name, accountExpires=_LONG_AGO)

    def must_change_password(self, name: str) -> None:
        """Make a new password due: the right password gets 773."""
        self.set(name, pwdLastSet="0")

    def expire_password(self, name: str) -> None:
        """Let a password be older than a settings object allows: the right password gets 532."""
        self._settings(name, f"expired-{name}", **{"msDS-MaximumPasswordAge": _ticks(_SHORTEST_AGE_S)})
        change = f"dn: {self.dn_of(name)}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: {_LONG_AGO}\n"
        self.modify_files(change, "--controls=local_oid:1.3.6.1.4.1.7165.4.3.20:0")

    def set_logon_hours(self, name: str, *, none: bool) -> None:
        """Allow an account no hour of the week, so that the right password gets 530, or every hour."""
        self.set(name, logonHours=(b"\0" if none else b"\xff") * 21)

    def set_workstations(self, name: str, *computers: str) -> None:
        """Allow an account these computers only, so that the right password gets 531; all, when none is named."""
        self.set(name, userWorkstations=",".join(computers) or None)

    def set_lockout(self, threshold: int, observation_minutes: int = 30) -> None:
        """Lock accounts of the whole domain after so many failures within so many minutes; 0 never locks.

        A locked one stays so for as many minutes.
        """
        window = _ticks(observation_minutes * 60)
        changes = {"lockoutThreshold": str(threshold), "lockOutObservationWindow": window, "lockoutDuration": window}
        with self.administrator() as connection:
            connection.modify(plan.BASE_DN, {key: [(MODIFY_REPLACE, [value])] for key, value in changes.items()})

    def allow_reading_psos(self) -> None:
        """Let every account read password settings objects, which otherwise only administrators can."""
        self.samba_tool("dsacl", "set", f"--objectdn={_PSO_FOLDER}", "--sddl=(A;CI;LCRPRC;;;AU)")

    def set_pso(self, user: str, threshold: int) -> str:
        """Give one account a lock-out threshold of its own by a password settings object, and give that one's DN."""
        return self._settings(user, f"lockout-{user}", **{"msDS-LockoutThreshold": str(threshold)})

    def rename(self, name: str, new_name: str) -> str:
        """Give an account another sAMAccountName, userPrincipalName and RDN, and give its new DN."""
        with self.administrator() as connection:
            old = _dn(connection, name)
            connection.modify_dn(old, f"CN={new_name}")
        self.set(name, sAMAccountName=new_name, userPrincipalName=f"{new_name}@{plan.DNS_DOMAIN}")
        return self.dn_of(new_name)

    def move(self, name: str, ou_dn: str) -> str:
        """Move an account or group to another OU and give its new DN."""
        with self.administrator() as connection:
            old = _dn(connection, name)
            rdn = old.split(",", 1)[0]
            connection.modify_dn(old, rdn, new_superior=ou_dn)
        return f"{rdn},{ou_dn}"

    def delete(self, name: str) -> None:
        """Delete an account or group; a tombstone stays in CN=Deleted Objects."""
        with self.administrator() as connection:
            connection.delete(_dn(connection, name))

    def set(self, name: str, **values: str | bytes | None) -> None:
        """Replace single-valued attributes of an account or group; None removes one."""
        changes = {key: [(MODIFY_REPLACE, [] if value is None else [value])] for key, value in values.items()}
        with self.administrator() as connection:
            connection.modify(_dn(connection, name), changes)

    def _settings(self, user: str, name: str, **others: str) -> str:
        dn = f"CN={name},{_PSO_FOLDER}"
        settings = {
            "msDS-PasswordSettingsPrecedence": "1",
            "msDS-PasswordReversibleEncryptionEnabled": "FALSE",
            "msDS-PasswordHistoryLength": "0",
            "msDS-PasswordComplexityEnabled": "TRUE",
            "msDS-MinimumPasswordLength": "7",
            "msDS-MinimumPasswordAge": "0",
            "msDS-MaximumPasswordAge": "-9223372036854775808",
            "msDS-LockoutThreshold": "0",
            "msDS-LockoutObservationWindow": _ticks(1800),
            "msDS-LockoutDuration": _ticks(1800),
        }
        with self.administrator() as connection:
            applies = {"msDS-PSOAppliesTo": _dn(connection, user)}
            connection.add(dn, "msDS-PasswordSettings", settings | others | applies)
        return dn


def _dn(connection: Connection, name: str) -> str:
    wanted = f"(sAMAccountName={escape_filter_chars(name)})"
    connection.search(plan.BASE_DN, wanted, SUBTREE, attributes=["1.1"])
    found = [item["dn"] for item in connection.response if item["type"] == "searchResEntry"]
    assert len(found) == 1, f"{name} is the name of {len(found)} entries"
    return str(found[0])


def _quoted(password: str) -> bytes:
    """Give a password as unicodePwd wants it ([MS-ADTS] 3.1.1.3.1.5)."""
    return f'"{password}"'.encode("utf-16-le")


def _ticks(seconds: int) -> str:
    """Give a span as Active Directory keeps it: a negative number of 100 ns."""
    return str(-seconds * TICKS_PER_S)
