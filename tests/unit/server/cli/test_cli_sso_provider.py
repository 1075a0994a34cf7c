"""``quaymaster provider`` and identity providers: settings, lists, and one name for one provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import Settings
from config.sso import SsoProvider
from server.cli.provider.settings import CLIENT_SECRET, LDAP_KIND, SSO_KIND
from server.providers import ProviderBook
from storage.database.sso_answers import SsoAnswer
from tests.support.cli import Cli
from tests.support.one_time_codes import enrol
from tests.support.scim_rows import join, leave, say
from tests.unit.server.cli.conftest import Kept, KeptSso, Opened

TOML = '[sso.entra]\nmethod = "oidc"\nmax_disabled_count = 3\n'
TENANT = "72f988bf-0000-4000-8000-2d7cd011db47"
OF_SAML = (
    *("metadata_url", "metadata_file", "idp_entity_id", "idp_sso_url", "idp_slo_url", "fingerprints"),
    *("entity_id_suffix", "idp_initiated"),
)
DIRECTORY = ("--host=dc1", "--vendor=openldap", "--base-dn=dc=x", "--bind-user=cn=s,dc=x", "--no-test")


@pytest.fixture
def toml(tmp_path: Path) -> str:
    """A file with one identity provider, ``entra``."""
    file = tmp_path / "quaymaster.toml"
    file.write_text(TOML)
    return f"--config={file}"


def in_use(cli: Cli, opened: Opened, name: str = "entra") -> SsoProvider:
    """The provider as the server would use it."""
    with opened() as store:
        provider = ProviderBook(store, Settings(data=cli.data)).sso(name)
    assert provider is not None
    return provider


# add and set --------------------------------------------------------------------------------------


def test_every_setting_of_an_identity_provider_has_an_option() -> None:
    """Nothing of the model is left to the TOML file alone."""
    assert {setting.field for setting in SSO_KIND.settings} == set(SsoProvider.model_fields) - {CLIENT_SECRET}


def test_every_option_reaches_the_identity_provider(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """What is given to ``add`` is what ``show`` prints, and what the server uses."""
    keep_sso(
        "entra",
        "--default-group=everybody",
        "--protocols=sftp,webdav",
        "--home-layout=id",
        "--max-disabled-percent=5",
        "--max-disabled-count=7",
        "--max-requests-per-s=900",
        *("--vendor=entra", "--display-name=Contoso", "--mail-domain=contoso.test", f"--tenant={TENANT}"),
        *("--jit=on", "--token-groups=on", "--client-id=app", "--private-key-file=/key.pem", "--graph-groups=on"),
        *("--client-secret-expires=2030-01-31", "--issuer=https://login.example/", "--subject-claim=a"),
        *("--login-claim=b", "--name-claim=c", "--email-claim=d", "--groups-claim=e", "--ca-file=/ca.pem"),
        "--private-hosts=on",
        "--no-test",
        method="oidc",
    )

    shown = cli.ok("provider", "show", "entra")

    of_saml = {field: shown.pop(field) for field in OF_SAML}
    assert not any(of_saml.values())
    assert {setting.field: shown[setting.field] for setting in SSO_KIND.settings if setting.field in shown} == {
        "method": "oidc",
        "vendor": "entra",
        "display_name": "Contoso",
        "domains": ["contoso.test"],
        "tenant": TENANT,
        "jit": True,
        "token_groups": True,
        "issuer": "https://login.example/",
        "client_id": "app",
        "client_secret_expires": "2030-01-31",
        "private_key_file": "/key.pem",
        "graph_groups": True,
        "subject_claim": "a",
        "login_claim": "b",
        "name_claim": "c",
        "email_claim": "d",
        "groups_claim": "e",
        "ca_file": "/ca.pem",
        "private_hosts": True,
        "default_group": "everybody",
        "protocols": ["sftp", "webdav"],
        "home_layout": "id",
        "max_disabled_percent": 5,
        "max_disabled_count": 7,
        "max_requests_per_s": 900,
    }
    assert (shown["kind"], shown["origin"], shown["users"], shown["roles"]) == ("sso", "database", 0, [])
    assert (shown["live_tokens"], shown["last_request_at"], shown["held_ends"], shown["conflicts"]) == (0, None, 0, 0)
    assert in_use(cli, opened).max_requests_per_s == 900


def test_every_option_of_saml_reaches_the_identity_provider(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Those that only fingerprints need as well."""
    keep_sso(
        "entra",
        *("--idp-entity-id=https://idp.example/", "--idp-sso-url=https://idp.example/sso"),
        *("--idp-slo-url=https://idp.example/slo", f"--fingerprint={'AB:' * 31}AB"),
        *("--entity-id-suffix=two", "--idp-initiated=on"),
    )
    provider = in_use(cli, opened)
    cleared = ("--fingerprint=", "--idp-sso-url=", "--idp-slo-url=")
    cli.ok("provider", "set", "entra", *cleared, "--metadata-file=/m.xml", "--no-test")

    assert (provider.idp_entity_id, provider.idp_sso_url) == ("https://idp.example/", "https://idp.example/sso")
    assert (provider.fingerprints, provider.idp_slo_url) == (frozenset({"ab" * 32}), "https://idp.example/slo")
    assert (provider.entity_id_suffix, provider.idp_initiated) == ("two", True)
    shown = cli.ok("provider", "show", "entra")
    assert (shown["metadata_file"], shown["fingerprints"]) == ("/m.xml", [])


def test_the_applications_secret_is_sealed_and_never_shown(cli: Cli, opened: Opened) -> None:
    """It comes by standard input, stays when other settings change, and is in no row or output."""
    given = ("--method=oidc", "--vendor=entra", f"--tenant={TENANT}", "--client-id=app", "--client-secret-stdin")
    said = cli.run("provider", "add", "sso", "entra", *given, "--no-test", stdin="s3cret-of-app\n")
    cli.ok("provider", "set", "entra", "--display-name=Contoso", "--no-test")
    shown = cli.run("provider", "show", "entra")
    with opened() as store:
        row = store.providers.by_name("entra")
    assert row is not None

    assert in_use(cli, opened).client_secret == "s3cret-of-app"
    assert "s3cret-of-app" not in said.out + said.err + shown.out + repr(row)
    assert set(row.secrets) == {"client_secret"}


def test_no_second_site_key_is_made_beside_lost_codes(cli: Cli) -> None:
    """Secrets of authenticators are under the site's key, too: without it nothing new is sealed."""
    cli.ok("user", "add", "ann", "--method=local")
    enrol(cli, "ann")
    (cli.data / "keys" / "site.key").unlink()
    given = ("--method=oidc", "--vendor=entra", f"--tenant={TENANT}", "--client-id=app", "--client-secret-stdin")
    said = cli.run("provider", "add", "sso", "entra", *given, "--no-test", stdin="s3cret-of-app\n")

    assert said.code == 1
    assert "cannot be encrypted" in said.err
    assert not (cli.data / "keys" / "site.key").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method=oidc", "--metadata-url=https://x.example/"], "is for the method saml"),
        (["--method=saml", "--client-id=x"], "is for the method oidc"),
        (["--method=saml", "--metadata-url=http://x.example/"], "must begin with https"),
        (["--method=saml", "--metadata-url=https://x.example/", "--metadata-file=/m.xml"], "exclude each other"),
        (["--method=saml", f"--fingerprint={'ab' * 20}"], "SHA-1 is not accepted"),
        (["--method=saml", f"--fingerprint={'ab' * 32}"], "need --idp-entity-id"),
        (["--method=saml", "--idp-sso-url=https://x.example/"], "go with fingerprints"),
        (["--method=oidc", "--client-id=x", "--issuer=https://x.example/"], "needs either --client-secret-stdin"),
        (["--method=oidc", "--client-id=x", "--private-key-file=/k"], "needs issuer"),
        (["--method=oidc", "--vendor=entra", "--tenant=common"], "not the id of one tenant"),
        (["--method=oidc", "--tenant=9188040d-6c67-4c5b-b112-36a304b66dad"], "not the id of one tenant"),
        (["--method=oidc", "--private-key-file=/k"], "need --client-id"),
        (["--method=saml", "--mail-domain=nodots"], "is not a domain"),
        (["--method=oidc", "--client-secret-expires=tomorrow"], "is not a date"),
    ],
    ids=range(14),
)
def test_settings_that_cannot_work_are_refused(cli: Cli, options: list[str], words: str) -> None:
    """With what to change, in the words of the options."""
    said = cli.run("provider", "add", "sso", "entra", *options)

    assert said.code == 1
    assert words in said.err


def test_settings_that_fail_the_test_replace_none_that_work(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A metadata file that is not there, for example; --no-test is the way round."""
    keep_sso("entra", "--display-name=Contoso")
    said = cli.run("provider", "set", "entra", "--metadata-file=/not/there.xml")
    kept = in_use(cli, opened)
    tested = cli.run("provider", "test", "entra", "--json")

    assert said.code == 1
    assert "did not pass the test: metadata" in said.err
    assert (kept.metadata_file, kept.display_name) == (None, "Contoso")
    assert '"sign-in"' in tested.out


@pytest.mark.parametrize("vendor", ["entra", "okta", "generic"])
@pytest.mark.parametrize("method", ["saml", "oidc"])
def test_the_guide_has_the_values_to_copy(cli: Cli, keep_sso: KeptSso, vendor: str, method: str) -> None:
    """Each address in some step, and the command that comes after."""
    keep_sso("entra", f"--vendor={vendor}", method=method)
    shown = cli.ok("provider", "show", "entra", "--setup")
    steps = " ".join(shown["steps"])
    needed: tuple[str, ...] = ("entity_id", "acs") if method == "saml" else ("callback",)
    if (method, vendor) == ("oidc", "generic"):
        needed = ("callback", "signed_out", "back_channel")

    assert all(shown[name] in steps for name in needed)
    assert "quaymaster provider set entra" in steps
    assert "{" not in steps
    assert "portal.public_url is not set" in cli.run("provider", "show", "entra", "--setup").err


def test_refused_sign_ins_are_listed_with_their_reasons(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """And one by its number, which the person has seen."""
    keep_sso("entra")
    with opened() as store:
        number = store.sso_answers.add(
            SsoAnswer(
                *("entra", "sign_in", "refused", "out_of_time", "too old", "192.0.2.1", 5.0),
                checks=[{"name": "time", "passed": False, "detail": "too old"}],
            )
        )
    (row,) = cli.ok("provider", "answers", "entra")
    one = cli.run("provider", "answers", "entra", f"--id={number}")
    other = cli.run("provider", "answers", "entra", f"--id={number + 1}")

    assert (row["id"], row["reason"], row["peer"]) == (number, "out_of_time", "192.0.2.1")
    assert "FAIL time too old" in one.out
    assert other.code == 1


def test_what_comes_next_is_told(cli: Cli) -> None:
    """A provider without a token lets no client in."""
    said = cli.run("provider", "add", "sso", "entra", "--method=saml")

    assert said.code == 0
    assert "quaymaster scim token issue entra" in said.err
    assert "quaymaster scim show entra" in said.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--method must be given"),
        (["--method=kerberos"], "--method: "),
        (["--method=saml", "--protocols=gopher"], "--protocols: 'gopher' is none of them"),
        (["--method=saml", "--max-disabled-percent=0"], "--max-disabled-percent: "),
        (["--method=saml", "--max-requests-per-s=10"], "--max-requests-per-s: "),
    ],
)
def test_a_bad_setting_makes_no_identity_provider(cli: Cli, options: list[str], words: str) -> None:
    """It is told by the name of its option, and nothing is kept."""
    said = cli.run("provider", "add", "sso", "entra", *options)

    assert said.code == 1
    assert words in said.err
    assert cli.ok("provider", "list") == []


def test_a_name_is_one_providers_of_either_kind(cli: Cli, keep: Kept, keep_sso: KeptSso, toml: str) -> None:
    """In the database and in the file, whichever kind comes second."""
    keep("corp")
    keep_sso("okta")

    attempts = [
        cli.run("provider", "add", "sso", "corp", "--method=saml"),
        cli.run("provider", "add", "ldap", "okta", *DIRECTORY, "--bind-password-stdin", stdin="x\n"),
        cli.run("provider", "add", "ldap", "entra", *DIRECTORY, "--bind-password-stdin", toml, stdin="x\n"),
        cli.run("provider", "add", "sso", "entra", "--method=saml", toml),
        cli.run("provider", "add", "sso", "My Entra", "--method=saml"),
    ]

    assert [said.code for said in attempts] == [1] * 5
    assert ["There is a provider" in said.err for said in attempts] == [True] * 4 + [False]
    assert [row["name"] for row in cli.ok("provider", "list")] == ["corp", "okta"]


def test_set_changes_what_is_named_of_an_identity_provider(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The rest stays, and the empty text puts a setting back to its default; nothing is tested."""
    keep_sso("entra", "--max-disabled-count=7", "--default-group=everybody")

    cli.ok("provider", "set", "entra", "--max-disabled-percent=30", "--default-group=")

    found = in_use(cli, opened)
    assert (found.max_disabled_count, found.max_disabled_percent, found.default_group) == (7, 30, None)


@pytest.mark.parametrize(
    "words",
    [["--host=dc1"], ["--base-dn=dc=x"], ["--bind-password-stdin"], ["--default-group=a", "--bind-password-stdin"]],
)
def test_options_of_a_directory_do_not_go_with_an_identity_provider(
    cli: Cli, keep_sso: KeptSso, words: list[str]
) -> None:
    """They are refused by name, with those that do, and nothing is changed."""
    keep_sso()

    said = cli.run("provider", "set", "entra", *words, stdin="x\n")

    assert said.code == 1
    assert f"{words[-1].partition('=')[0]} does not go with 'entra'" in said.err
    assert "--max-requests-per-s" in said.err
    assert cli.ok("provider", "show", "entra")["default_group"] is None


def test_options_of_an_identity_provider_do_not_go_with_a_directory(cli: Cli, keep: Kept) -> None:
    """The other way round, before any password is asked for."""
    keep("corp")

    said = cli.run("provider", "set", "corp", "--method=saml", "--max-requests-per-s=90", "--no-test")

    assert said.code == 1
    assert "--method, --max-requests-per-s do not go with 'corp'" in said.err


def test_another_method_leaves_those_who_are_here(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """It is told, as a user's method says which proof is asked for."""
    keep_sso()
    with opened() as store:
        join(store, "ann")

    said = cli.run("provider", "set", "entra", "--method=oidc")

    assert said.code == 0
    assert "1 user of it keeps the method saml" in said.err
    assert cli.ok("user", "show", "ann")["method"] == "saml"


def test_an_identity_provider_of_the_file_is_changed_there(cli: Cli, keep_sso: KeptSso, toml: str) -> None:
    """``set`` and ``remove`` say in which file and line; ``show`` says that the database has one, too."""
    for words in (["set", "entra", "--method=saml"], ["remove", "entra"]):
        said = cli.run("provider", *words, toml)

        assert said.code == 1
        assert "quaymaster.toml:2" in said.err
    keep_sso()

    shown = cli.ok("provider", "show", "entra", toml)

    assert (shown["origin"], shown["method"]) == ("file", "oidc")
    assert "the file's counts" in shown["problem"]


def test_the_one_of_the_database_behind_the_file_can_be_removed(cli: Cli, keep_sso: KeptSso, toml: str) -> None:
    """Also while users belong to the name: they have the file's."""
    keep_sso()
    cli.ok("user", "add", "ann", "--method=oidc", "--provider=entra")

    assert cli.ok("provider", "remove", "entra", "--yes", toml) == {"removed": "entra"}
    assert cli.ok("provider", "list", toml)[0]["origin"] == "file"


# list, show and remove ----------------------------------------------------------------------------


def test_both_kinds_are_listed(cli: Cli, keep: Kept, keep_sso: KeptSso, opened: Opened) -> None:
    """Every row has every field; what a kind does not have is empty."""
    keep("corp")
    keep_sso()
    cli.ok("scim", "token", "issue", "entra")
    with opened() as store:
        join(store, "ann")

    corp, entra = cli.ok("provider", "list")

    assert set(corp) == set(entra)
    assert (corp["kind"], corp["method"], corp["users"], corp["live_tokens"]) == ("ldap", "ldap", 0, None)
    assert (entra["kind"], entra["method"], entra["users"], entra["live_tokens"]) == ("sso", "saml", 1, 1)
    assert (entra["vendor"], entra["hosts"], entra["base_dn"], entra["last_run"]) == (None, [], None, None)
    assert "live tokens" in cli.run("provider", "list").out


def test_a_table_has_the_columns_of_its_kinds(cli: Cli, keep: Kept, keep_sso: KeptSso) -> None:
    """A site without identity providers reads as before; one with these alone has no columns of directories."""
    keep("corp")
    directories = cli.run("provider", "list").out
    cli.ok("provider", "remove", "corp", "--yes")
    keep_sso()

    identity_providers = cli.run("provider", "list").out

    assert "base dn" in directories
    assert "tokens" not in directories
    assert "live tokens" in identity_providers
    assert "base dn" not in identity_providers


def test_a_provider_that_cannot_be_used_is_shown_with_its_problem(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A setting of another release, for example; ``set`` mends it."""
    keep_sso()
    with opened() as store:
        from storage.database.change_types import PutProvider  # a change that no command makes

        store.apply(PutProvider("entra", "sso", {"method": "saml", "max_disabled_count": -1}, {}), actor="test")

    (row,) = cli.ok("provider", "list")
    refused = cli.run("scim", "token", "issue", "entra")
    tested = cli.run("provider", "test", "entra", "--json")
    cli.ok("provider", "set", "entra", "--max-disabled-count=5")

    assert "max_disabled_count" in row["problem"]
    assert refused.code == 1
    assert "quaymaster provider set entra" in refused.err
    assert (tested.code, [stage["name"] for stage in tested.data["stages"]]) == (1, ["settings"])
    assert cli.ok("provider", "list")[0]["problem"] == ""


def test_an_identity_provider_stays_while_users_belong_to_it(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Also those whom its client has deleted; with the last one it goes, and its tokens with it."""
    keep_sso()
    cli.ok("scim", "token", "issue", "entra")
    with opened() as store:
        leave(store, join(store, "ann"))

    refused = cli.run("provider", "remove", "entra", "--yes")
    cli.ok("user", "delete", "ann", "--yes")
    cli.ok("provider", "remove", "entra", "--yes")

    assert refused.code == 1
    assert "1 user depends on the provider 'entra': ann." in refused.err
    assert cli.ok("scim", "token", "list") == []
    assert cli.run("scim", "show", "entra").code == 1


def test_each_kind_has_its_own_commands(cli: Cli, keep: Kept, keep_sso: KeptSso) -> None:
    """A command of the other kind says what the provider is, and where to look."""
    keep("corp")
    keep_sso()

    sync = cli.run("sync", "run", "entra")
    token = cli.run("scim", "token", "issue", "corp")
    unknown = cli.run("scim", "show", "x")

    assert (sync.code, token.code, unknown.code) == (1, 1, 1)
    assert "'entra' is an identity provider" in sync.err
    assert "quaymaster scim show entra" in sync.err
    assert "'corp' is a directory" in token.err
    assert "There is no provider 'x'." in unknown.err
    assert "corp (database), entra (database)" in unknown.err


def test_the_options_of_set_say_for_which_kind_they_are(cli: Cli) -> None:
    """Those of both kinds stand first, with both meanings where these differ."""
    said = cli.run("provider", "set", "--help", env={"COLUMNS": "300"})

    shared, _, rest = said.out.partition("Only for ldap providers")
    of_ldap, _, of_sso = rest.partition("Only for sso providers")
    assert "--default-group" in shared
    assert "Of sso providers: When more than this share" in shared
    assert "--host" in of_ldap
    assert "--max-requests-per-s" in of_sso
    assert "``" not in said.out


def test_shared_options_are_written_alike() -> None:
    """One option of ``set`` cannot mean two things."""
    directory = {setting.field: setting for setting in LDAP_KIND.settings}

    assert [s for s in SSO_KIND.settings if s.field in directory and directory[s.field] != s] == []


def test_a_deactivated_user_still_belongs(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """``users`` counts those of any status."""
    keep_sso()
    with opened() as store:
        say(store, join(store, "ann"), active=False)

    assert cli.ok("provider", "show", "entra")["users"] == 1
