"""What an admin enters at an identity provider, in the words that its own pages use."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from server.cli.output import Failure

MOUNT = "/scim/v2"
HTTPS_PORT = 443
PLACE_HOLDER = "PUBLIC-NAME"


def _steps(text: str) -> tuple[str, ...]:
    """Give the paragraphs of a text, each as one line."""
    return tuple(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


ENTRA = _steps(
    """
    Enterprise applications, New application, Create your own application, not in the gallery; or open the one that
    people sign in with.

    Users and groups: assign the groups whose members shall be users here. Nested groups are not followed.

    Provisioning, New configuration (or: Get started, mode Automatic). Tenant URL: {tenant} and as the Secret Token what
    `quaymaster scim token issue {name}` prints. Test Connection, then Save. The flag ?aadOptscim062020 behind the URL
    is accepted and not needed.

    BEFORE the first cycle: Mappings, Provision Microsoft Entra ID Users: let the source attribute of externalId be
    objectId, not mailNickname. A mailNickname changes with a person's name, and a later change of the mapping leaves
    users unlinked. Groups have their objectId as externalId already.

    Settings, Scope: sync only assigned users and groups. Keep the mapping of active: it ends leavers.

    Try one person: Provision on demand. See what came: quaymaster scim log {name} --bodies, and quaymaster provider
    test {name}

    Start provisioning. Entra ID works in cycles of about 40 minutes, so that is how long a leaver may stay in; what it
    says counts here within a second. Somebody must be out now? quaymaster user disable USER ends sessions, transfers,
    keys and API keys at once, and outlasts what the next cycle says.
    """
)

OKTA = _steps(
    """
    The app that people sign in with, General, App Settings: let Provisioning be SCIM.

    Provisioning, Integration: SCIM connector base URL: {tenant} and as the unique identifier field for users: userName.
    Actions: Push New Users, Push Profile Updates, Push Groups.

    Authentication Mode: HTTP Header, with the token that `quaymaster scim token issue {name}` prints; or Basic Auth,
    with what it prints for --kind basic. Test Connector Configuration, then Save.

    Provisioning, To App: Create Users, Update User Attributes, Deactivate Users. Leave Sync Password off: a password is
    ignored here.

    Assignments: assign people or groups. Push Groups: push those that shall be groups here; assigning one does not push
    it.

    Okta sends changes as they happen, and deactivates instead of deleting. Somebody must be out now? quaymaster user
    disable USER does not wait for it.
    """
)


@dataclass(frozen=True, slots=True)
class Urls:
    """The addresses to enter. ``is_guess``: nobody said by which name the site is reached."""

    tenant: str
    provider: str
    is_guess: bool


def urls(name: str, given: str | None, port: int) -> Urls:
    """Make the addresses of what was said, or of the port with a place to put the name in. Raises Failure."""
    root = f"https://{PLACE_HOLDER}" + ("" if port == HTTPS_PORT else f":{port}") if given is None else _root(given)
    return Urls(f"{root}{MOUNT}", f"{root}{MOUNT}/{name}", is_guess=given is None)


def _root(given: str) -> str:
    try:
        parts = urlsplit(given)
        is_port = parts.port != 0  # raises for what is no port
    except ValueError:
        parts, is_port = urlsplit(""), False
    path = parts.path.rstrip("/").removesuffix(MOUNT)
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or path or parts.query or not is_port:
        raise Failure(
            f"{given!r} is not the address of a site.",
            f"it is https://HOST or https://HOST:PORT, and {MOUNT} is put behind it",
            "give for example --url https://files.example.org",
        )
    return f"https://{parts.netloc}"
