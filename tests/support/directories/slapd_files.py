"""The files that a test slapd starts from: its configuration and its first entries."""

from __future__ import annotations

from pathlib import Path

from tests.support.directories.certificates import Identity

BASE_DN = "dc=lab,dc=test"
ADMIN_DN = f"cn=admin,{BASE_DN}"
ADMIN_PASSWORD = "adminpw"
SERVICE_DN = f"cn=svc-quaymaster,ou=services,{BASE_DN}"
SERVICE_PASSWORD = "Serv1ce-Passw0rd!"
POLICY_DN = f"cn=default,ou=policies,{BASE_DN}"
UNITS = ("people", "groups", "services", "policies", "other")
SCHEMAS = ("core", "cosine", "inetorgperson", "nis")
MODULES = ("back_mdb", "memberof", "refint", "ppolicy", "syncprov")
MAP_SIZE = 4 << 30  # bytes of address space; the file is sparse

_CONFIGURATION = """
{includes}
modulepath {modules_folder}
{modules}
pidfile {folder}/pid
argsfile {folder}/arguments
loglevel {loglevel}
sizelimit 500
{allow}
TLSCACertificateFile {ca_file}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSProtocolMin 3.3

database mdb
suffix "{base}"
directory {folder}/data
maxsize {map_size}
envflags nosync
envflags writemap
rootdn "{admin}"
rootpw {admin_password}
index objectClass,uid,mail,entryUUID,modifyTimestamp,member eq
limits dn.exact="{service}" size=unlimited time=unlimited size.prtotal=unlimited
access to attrs=userPassword
    by self =xw
    by anonymous auth
    by * none
access to *
    by dn.exact="{service}" read
    by self read
    by * none

overlay memberof
memberof-group-oc groupOfNames
memberof-member-ad member
memberof-memberof-ad memberOf
overlay refint
refint_attributes member
refint_nothing "{admin}"
overlay ppolicy
ppolicy_default "{policy}"
ppolicy_use_lockout
ppolicy_hash_cleartext
overlay syncprov
"""

_FIRST_ENTRIES = """
dn: {base}
objectClass: dcObject
objectClass: organization
dc: lab
o: Lab

{units}
dn: {service}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: svc-quaymaster
userPassword: {service_password}

dn: {policy}
objectClass: applicationProcess
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: {threshold}
pwdFailureCountInterval: 300
pwdLockoutDuration: 1800
"""


def configuration(folder: Path, identity: Identity, *, allow_anonymous_dn: bool) -> str:
    """Give slapd.conf for a server that keeps everything below ``folder``."""
    return _CONFIGURATION.format(
        includes="\n".join(f"include {_schema_folder() / name}.schema" for name in SCHEMAS),
        modules_folder=_modules_folder(),
        modules="\n".join(f"moduleload {name}" for name in MODULES),
        folder=folder,
        loglevel="stats",
        allow="allow bind_anon_dn" if allow_anonymous_dn else "",
        ca_file=identity.ca_file,
        certificate=identity.certificate,
        key=identity.key,
        base=BASE_DN,
        map_size=MAP_SIZE,
        admin=ADMIN_DN,
        admin_password=ADMIN_PASSWORD,
        service=SERVICE_DN,
        policy=POLICY_DN,
    )


def first_entries(lockout_threshold: int) -> str:
    """Give the LDIF of the base tree, the service account and the default password policy."""
    units = "".join(f"dn: ou={unit},{BASE_DN}\nobjectClass: organizationalUnit\nou: {unit}\n\n" for unit in UNITS)
    return _FIRST_ENTRIES.format(
        base=BASE_DN,
        units=units,
        service=SERVICE_DN,
        service_password=SERVICE_PASSWORD,
        policy=POLICY_DN,
        threshold=lockout_threshold,
    ).lstrip()


def _modules_folder() -> Path:
    return _existing("slapd's modules", "/usr/lib/ldap", "/usr/lib/openldap", "/usr/lib64/openldap")


def _schema_folder() -> Path:
    return _existing("slapd's schemas", "/etc/ldap/schema", "/etc/openldap/schema")


def _existing(what: str, *folders: str) -> Path:
    for folder in map(Path, folders):
        if folder.is_dir():
            return folder
    message = f"{what} are in none of {', '.join(folders)}"
    raise AssertionError(message)
