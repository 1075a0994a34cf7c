"""The operator's settings: one frozen tree. The docstring under each field is its documentation."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.ldap import LdapProvider
from config.providers import PROVIDER_NAME
from config.secrets import MaskedUrl, masked_url
from config.sections import FilePath, Port, Seconds, Section
from config.sso import SsoProvider


class PortRange(BaseModel):
    """A closed range of TCP ports."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: Port
    last: Port

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.first > self.last:
            message = f"the range {self} is empty: its first port is above its last"
            raise ValueError(message)
        return self

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def _parse_port_range(value: object) -> object:
    if isinstance(value, str):
        first, dash, last = value.partition("-")
        if not (dash and first.strip().isdigit() and last.strip().isdigit()):
            message = f"expected FIRST-LAST, for example 50000-50199, not {value!r}"
            raise ValueError(message)
        return {"first": int(first), "last": int(last)}
    return value


def _address(text: str) -> str:
    ip_address(text)
    return text


def _ipv4_address(text: str) -> str:
    IPv4Address(text)
    return text


def _provider_name(text: str) -> str:
    if not PROVIDER_NAME.fullmatch(text):
        message = f"a provider's name is a small letter, then small letters, digits and -, at most 32; not {text!r}"
        raise ValueError(message)
    return text


def _known_database(url: str) -> str:
    if urlsplit(url).scheme.partition("+")[0] not in {"sqlite", "postgresql"}:
        message = "the URL starts with neither sqlite: nor postgresql:"
        raise ValueError(message)
    return url


Address = Annotated[str, AfterValidator(_address)]
Ipv4 = Annotated[str, AfterValidator(_ipv4_address)]
ProviderName = Annotated[str, AfterValidator(_provider_name)]
DatabaseUrl = Annotated[str, AfterValidator(_known_database), MaskedUrl()]


class Durability(StrEnum):
    """How hard an upload is put on the disk before it is reported complete."""

    FAST = "fast"
    STRICT = "strict"


class LogFormat(StrEnum):
    """How log events are written."""

    JSON = "json"
    PRETTY = "pretty"


class SftpSettings(Section):
    """SFTP over SSH."""

    enabled: bool = True
    """Whether the SFTP front end runs."""
    port: Port = 2022
    """TCP port of the SSH listener."""
    idle_timeout_s: Seconds = 900.0
    """A session without any request for this long is ended."""
    max_sessions_per_connection: Annotated[int, Field(ge=1, le=64)] = 10
    """SFTP channels that one SSH connection may open."""
    max_auth_attempts: Annotated[int, Field(ge=1, le=64)] = 10
    """Failed attempts on one connection before it is closed; agents may offer several keys."""
    max_unauthenticated: Annotated[int, Field(ge=1)] = 100
    """Connections per worker that have not signed in yet; more are closed at once."""
    max_unauthenticated_per_network: Annotated[int, Field(ge=1)] = 20
    """The same, for one /24 (IPv4) or /64 (IPv6) network."""


class FtpsSettings(Section):
    """FTP over TLS."""

    enabled: bool = True
    """Whether the FTPS front end runs."""
    port: Port = 2121
    """TCP port of the explicit-TLS listener (AUTH TLS)."""
    implicit_port: Port = 2990
    """TCP port of the implicit-TLS listener."""
    passive_ports: Annotated[PortRange, BeforeValidator(_parse_port_range)] = PortRange(first=50000, last=50199)
    """Ports for passive data connections, shared by all workers, as FIRST-LAST."""
    masquerade_address: Ipv4 | None = None
    """The IPv4 address that PASV replies name when the server is behind NAT."""
    require_close_notify: bool = True
    """Whether an upload counts as complete only after TLS close_notify. Off admits clients that
    just close, at the price that a cut connection looks like a finished upload."""
    require_session_reuse: bool = False
    """Whether a data connection must resume the TLS session of its control connection, which proves
    that both are the same client. On shuts out clients that cannot, Python's ftplib among them."""
    idle_timeout_s: Seconds = 300.0
    """A control connection without a command or transfer for this long is closed."""
    login_timeout_s: Seconds = 30.0
    """A connection that has not signed in after this long is closed."""
    max_connections: Annotated[int, Field(ge=1)] = 256
    """Control connections per worker."""
    max_connections_per_address: Annotated[int, Field(ge=1)] = 50
    """Control connections per worker from one address."""


def _origin(text: str) -> str:
    parts = urlsplit(text)
    port = parts.port  # raises ValueError for one that cannot be
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or port == 0:
        message = f"{text!r} is not an address such as https://files.example.org"
        raise ValueError(message)
    if parts.path.rstrip("/") or parts.query or parts.fragment:
        message = f"{text!r} must end with the host name or the port"
        raise ValueError(message)
    return f"https://{parts.netloc.lower()}"


class HttpSettings(Section):
    """HTTPS: WebDAV under /dav/, health, and what later comes to the same port."""

    enabled: bool = True
    """Whether the HTTPS front end runs."""
    port: Port = 8443
    """TCP port of the HTTPS listener."""
    body_idle_timeout_s: Seconds = 60.0
    """A request body that brings no byte for this long is given up and the upload aborted."""
    max_uploads: Annotated[int, Field(ge=1)] = 64
    """Uploads at the same time per worker."""
    dav_threads: Annotated[int, Field(ge=1, le=256)] = 16
    """Threads per worker that run WebDAV requests."""


class PortalSettings(Section):
    """The web portal: people sign in there, and see to their keys and sessions."""

    public_url: Annotated[str, AfterValidator(_origin)] | None = None
    """How browsers and identity providers reach the HTTPS port, as in https://files.example.org. Sign-in by an identity
    provider needs it. Default: https://localhost with the port, for trying it out on one machine."""
    idle_s: Annotated[float, Field(gt=0, le=86400)] = 1800.0
    """A session that is not used for this long ends."""
    session_s: Annotated[float, Field(gt=0, le=604800)] = 43200.0
    """A session ends after this long, whatever happens in it."""
    saml_key: FilePath | None = None
    """PEM file with the RSA key and certificate that identity providers know us by (SAML); all machines of a site need
    the same. Default: ``keys/saml.pem`` in the data folder, made when it is needed."""
    password_sign_in: bool = True
    """Whether the sign-in page offers a password beside the identity providers. If not, and there is one provider only,
    people go straight there; break-glass admins find the form at /sign-in?password."""
    own_keys: bool = True
    """Whether people may add and revoke their own SSH keys and API keys there."""
    own_api_key_days: Annotated[int, Field(ge=1, le=3650)] = 365
    """An API key that a person makes there ends after so many days at most."""


class TlsSettings(Section):
    """The certificate that FTPS and HTTPS show."""

    certificate: FilePath | None = None
    """PEM file with the certificate chain. Default: a self-signed one made in the data folder."""
    key: FilePath | None = None
    """PEM file with the private key of the certificate."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            message = "tls.certificate and tls.key go together: set both or neither"
            raise ValueError(message)
        return self


class DatabaseSettings(Section):
    """Where the user store lives."""

    url: DatabaseUrl | None = None
    """``sqlite:////absolute/path.db`` or ``postgresql://user@host/name``; its password is never shown.
    May name where the URL is kept: ``file:/path`` or ``env:NAME``. Default: SQLite in the data folder."""
    pool_size: Annotated[int, Field(ge=1, le=100)] = 8
    """Connections per process on PostgreSQL."""

    def __repr__(self) -> str:
        return f"DatabaseSettings(url={masked_url(self.url)!r}, pool_size={self.pool_size})"

    __str__ = __repr__


class AuthSettings(Section):
    """Sign-in rules of the site."""

    min_rsa_bits: Annotated[int, Field(ge=2048, le=16384)] = 2048
    """RSA keys shorter than this are refused."""
    max_failures_per_user: Annotated[int, Field(ge=1, le=1000)] = 5
    """Failed sign-ins of one user within the window before further ones are refused unchecked."""
    max_failures_per_network: Annotated[int, Field(ge=1, le=100000)] = 50
    """The same for one /24 (IPv4) or /64 (IPv6) network."""
    failure_window_s: Seconds = 300.0
    """Length of the window in which failures are counted."""
    password_concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    """Password hashes computed at the same time per worker; each takes 19 MiB."""
    webdav_cache_s: Annotated[float, Field(ge=0, le=60)] = 60.0
    """How long a WebDAV sign-in is remembered, so that not every request is checked anew. 0 switches it off."""
    password_without_totp: bool = False
    """Whether users with TOTP enrolled may use their password alone on SFTP, FTPS and WebDAV."""
    refusal_floor_s: Annotated[float, Field(ge=0, le=5)] = 0.3
    """Where a directory is configured, no password is refused sooner than this, so that the time does not tell
    who is known to the directory. 0 switches it off."""


class FilesSettings(Section):
    """The tree of files."""

    homes: FilePath | None = None
    """Folder that holds the users' home folders. Default: ``files/home`` in the data folder."""
    durability: Durability = Durability.FAST
    """``strict`` puts an upload on stable storage before reporting it complete; ``fast`` leaves that to the kernel."""
    stale_upload_s: Seconds = 86400.0
    """Temporary files of uploads that no process holds are removed after this long."""
    max_open_files: Annotated[int, Field(ge=1, le=100000)] = 256
    """Files that one session may have open."""
    allow_symlinks: bool = False
    """Whether clients may create symbolic links (only ever inside their own mount). SFTP then shows links as links;
    where this is off, and on FTPS and WebDAV, a link looks like what it leads to."""
    allow_hard_links: bool = False
    """Whether clients may create hard links (only ever inside their own mount)."""


class LogSettings(Section):
    """Log output, on standard error."""

    format: LogFormat = LogFormat.PRETTY
    """``json`` for machines, ``pretty`` for people."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is written."""


class Settings(Section):
    """Everything the operator may say."""

    data: FilePath = Path("data")
    """Data folder: database, generated keys and certificate, home folders. Made with mode 0700."""
    listen: Address = "127.0.0.1"
    """Address that all front ends listen on; ``0.0.0.0`` or ``::`` to serve the network."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Worker processes per front end."""
    drain_s: Seconds = 30.0
    """Grace that running transfers get after SIGTERM before they are aborted."""
    site_key: FilePath | None = None
    """File with the key under which secrets in the database are encrypted. Machines on one database need the same
    file; without it these secrets are lost. Default: ``keys/site.key`` in the data folder, made when it is needed."""
    sftp: SftpSettings = SftpSettings()
    ftps: FtpsSettings = FtpsSettings()
    http: HttpSettings = HttpSettings()
    portal: PortalSettings = PortalSettings()
    tls: TlsSettings = TlsSettings()
    database: DatabaseSettings = DatabaseSettings()
    auth: AuthSettings = AuthSettings()
    files: FilesSettings = FilesSettings()
    log: LogSettings = LogSettings()
    ldap: dict[ProviderName, LdapProvider] = Field(default_factory=dict)
    """The directories, by the name under which users belong to them."""
    sso: dict[ProviderName, SsoProvider] = Field(default_factory=dict)
    """The identity providers, by the name under which users belong to them."""

    @model_validator(mode="after")
    def _distinct_providers(self) -> Self:
        if both := sorted(self.ldap.keys() & self.sso.keys()):
            message = f"ldap.{both[0]} and sso.{both[0]} have one name; users belong to a provider by its name alone"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _distinct_ports(self) -> Self:
        taken: dict[int, str] = {}
        for name, port in self.listeners:
            if port in taken:
                message = f"{name} and {taken[port]} are both {port}; each listener needs its own port"
                raise ValueError(message)
            if self.ftps.enabled and port in self.ftps.passive_ports:
                message = f"{name} = {port} lies in ftps.passive_ports {self.ftps.passive_ports}; move one of them"
                raise ValueError(message)
            taken[port] = name
        return self

    @property
    def listeners(self) -> tuple[tuple[str, int], ...]:
        """Key and port of every listener of the enabled front ends."""
        every = (
            (self.sftp.enabled, "sftp.port", self.sftp.port),
            (self.ftps.enabled, "ftps.port", self.ftps.port),
            (self.ftps.enabled, "ftps.implicit_port", self.ftps.implicit_port),
            (self.http.enabled, "http.port", self.http.port),
        )
        return tuple((name, port) for enabled, name, port in every if enabled)

    @property
    def database_url(self) -> str:
        """The database's URL with the default filled in."""
        return self.database.url or f"sqlite:///{(self.data / 'quaymaster.db').absolute()}"

    @property
    def site_key_file(self) -> Path:
        """The site key's file with the default filled in."""
        return (self.site_key or self.data / "keys" / "site.key").absolute()

    @property
    def saml_key_file(self) -> Path:
        """The file of our SAML key with the default filled in."""
        return (self.portal.saml_key or self.data / "keys" / "saml.pem").absolute()

    @property
    def homes(self) -> Path:
        """The homes folder with the default filled in."""
        return (self.files.homes or self.data / "files" / "home").absolute()
