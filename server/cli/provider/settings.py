"""The settings of each kind of provider, and how they are written on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from config.fields import Leaf, leaves
from config.ldap import LdapProvider
from config.sections import Section
from config.sso import SsoProvider
from server.cli import values
from server.providers import LDAP, SSO

SECRET = "bind_password"  # noqa: S105 - the name of a setting
CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a setting


class Form(Enum):
    """How a setting is written."""

    TEXT = "text"
    PATH = "path"
    TIME = "time"
    LIST = "list"  # repeatable, or separated by commas
    NAMES = "names"  # repeatable; a comma may be part of a name


@dataclass(frozen=True, slots=True)
class Setting:
    """One option."""

    field: str
    option: str
    metavar: str
    form: Form = Form.TEXT

    @property
    def repeatable(self) -> bool:
        """Whether the option may be given more than once."""
        return self.form in {Form.LIST, Form.NAMES}

    def value(self, given: str | list[str]) -> object:
        """Read what was typed, as far as the model does not; the empty text gives None. Raises Failure."""
        if isinstance(given, list):
            texts = values.texts(given) if self.form is Form.LIST else tuple(text for text in given if text)
            return list(texts) or None
        match self.form:
            case _ if not given:
                return None
            case Form.PATH:
                return str(Path(given).absolute())
            case Form.TIME:
                return values.interval(given, self.option)
            case _:
                return given


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """One kind of provider: its model, and the options that stand for the model's fields."""

    name: str
    noun: str
    model: type[Section]
    settings: tuple[Setting, ...]
    required: tuple[str, ...]

    @property
    def options(self) -> dict[str, str]:
        """Give the option of each field."""
        return {setting.field: setting.option for setting in self.settings}

    def leaf(self, field: str) -> Leaf:
        """Give a field with its documentation."""
        return next(leaf for leaf in self.leaves() if leaf.path[-1] == field)

    def leaves(self) -> list[Leaf]:
        """Give every field, in the order of the model."""
        return [leaf for leaf in leaves() if leaf.path[0] == self.name]


VENDOR = Setting("vendor", "--vendor", "VENDOR")
CA_FILE = Setting("ca_file", "--ca-file", "FILE", Form.PATH)
DEFAULT_GROUP = Setting("default_group", "--default-group", "GROUP")
WAYS_IN = Setting("protocols", "--protocols", "LIST", Form.LIST)
HOME_LAYOUT = Setting("home_layout", "--home-layout", "name|id")
MAX_PERCENT = Setting("max_disabled_percent", "--max-disabled-percent", "NUMBER")
MAX_COUNT = Setting("max_disabled_count", "--max-disabled-count", "NUMBER")

LDAP_KIND = ProviderKind(
    LDAP,
    "directory",
    LdapProvider,
    (
        Setting("hosts", "--host", "NAME[:PORT]", Form.LIST),
        Setting("security", "--security", "ldaps|starttls"),
        CA_FILE,
        Setting("tls_name", "--tls-name", "NAME"),
        VENDOR,
        Setting("base_dn", "--base-dn", "DN"),
        Setting("user_base_dn", "--user-base-dn", "DN"),
        Setting("group_base_dn", "--group-base-dn", "DN"),
        Setting("bind_user", "--bind-user", "DN"),
        Setting("user_filter", "--user-filter", "FILTER"),
        Setting("group_filter", "--group-filter", "FILTER"),
        Setting("id_attribute", "--id-attribute", "ATTRIBUTE"),
        Setting("login_attribute", "--login-attribute", "ATTRIBUTE"),
        Setting("alias_attributes", "--alias-attribute", "ATTRIBUTE", Form.LIST),
        Setting("domain", "--domain", "NAME"),
        Setting("upn_suffix", "--upn-suffix", "SUFFIX"),
        Setting("groups_include", "--groups-include", "PATTERN", Form.NAMES),
        Setting("groups_exclude", "--groups-exclude", "PATTERN", Form.NAMES),
        Setting("groups_required", "--groups-required", "PATTERN", Form.NAMES),
        DEFAULT_GROUP,
        WAYS_IN,
        HOME_LAYOUT,
        Setting("on_departure", "--on-departure", "disable|delete"),
        Setting("sync_interval_s", "--sync-interval", "TIME", Form.TIME),
        Setting("full_sync_interval_s", "--full-sync-interval", "TIME", Form.TIME),
        MAX_PERCENT,
        MAX_COUNT,
        Setting("timeout_s", "--timeout", "TIME", Form.TIME),
        Setting("connections", "--connections", "NUMBER"),
        Setting("lockout_threshold", "--lockout-threshold", "NUMBER"),
        Setting("lockout_window_s", "--lockout-window", "TIME", Form.TIME),
    ),
    required=("hosts", "vendor", "base_dn", "bind_user"),
)

SSO_KIND = ProviderKind(
    SSO,
    "identity provider",
    SsoProvider,
    (
        Setting("method", "--method", "saml|oidc"),
        VENDOR,
        Setting("display_name", "--display-name", "TEXT"),
        Setting("domains", "--mail-domain", "NAME", Form.LIST),
        Setting("tenant", "--tenant", "ID"),
        Setting("jit", "--jit", "on|off"),
        Setting("token_groups", "--token-groups", "on|off"),
        Setting("metadata_url", "--metadata-url", "URL"),
        Setting("metadata_file", "--metadata-file", "FILE", Form.PATH),
        Setting("idp_entity_id", "--idp-entity-id", "ID"),
        Setting("idp_sso_url", "--idp-sso-url", "URL"),
        Setting("idp_slo_url", "--idp-slo-url", "URL"),
        Setting("fingerprints", "--fingerprint", "SHA256", Form.LIST),
        Setting("entity_id_suffix", "--entity-id-suffix", "TEXT"),
        Setting("idp_initiated", "--idp-initiated", "on|off"),
        Setting("issuer", "--issuer", "URL"),
        Setting("client_id", "--client-id", "ID"),
        Setting("client_secret_expires", "--client-secret-expires", "DATE"),
        Setting("private_key_file", "--private-key-file", "FILE", Form.PATH),
        Setting("graph_groups", "--graph-groups", "on|off"),
        Setting("subject_claim", "--subject-claim", "NAME"),
        Setting("login_claim", "--login-claim", "NAME"),
        Setting("name_claim", "--name-claim", "NAME"),
        Setting("email_claim", "--email-claim", "NAME"),
        Setting("groups_claim", "--groups-claim", "NAME"),
        CA_FILE,
        Setting("private_hosts", "--private-hosts", "on|off"),
        DEFAULT_GROUP,
        WAYS_IN,
        HOME_LAYOUT,
        MAX_PERCENT,
        MAX_COUNT,
        Setting("max_requests_per_s", "--max-requests-per-s", "NUMBER"),
    ),
    required=("method",),
)
