"""Answers of identity providers verified a second by one worker, and what its memory does.

    .venv/bin/python -m bench.sso [--rounds 10000] [--groups 150] [--json]

One thread verifies the same SAML response (signed assertion, so many groups), the same encrypted, and the same ID token
(RS256, so many groups) again and again: the whole verifier each time, without HTTP and without the database. Memory is
the resident size after the first tenth and at the end. Then both SAML responses are verified by us and by python3-saml
alone in turn, in blocks of one run; above 1 we are faster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from auth_backends.api import Secret
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.id_tokens import verify_id_token
from auth_backends.oidc.signing_keys import SigningKeys
from auth_backends.outgoing import Fetcher
from auth_backends.saml.parties import ENTRA_RULES, ServiceProvider, new_key_pair
from auth_backends.saml.verifier import SamlVerifier
from bench.sso_peer import peer
from tests.support.oidc_provider_double import SECRET, Provider
from tests.support.saml_signer import GROUPS, TENANT, EntraSigner

PAGE_KIB = 4
REQUEST = "id-1"
BLOCKS, BLOCK = 20, 25


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: verifications a second, and resident memory in MiB after the first tenth and at the end."""

    what: str
    per_s: float
    begin_mib: float
    end_mib: float

    @property
    def growth(self) -> float:
        """The part of the memory that came in the last nine tenths."""
        return self.end_mib / self.begin_mib - 1


def resident_mib() -> float:
    """This process's resident memory (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_KIB / 1024


def measured(what: str, verify: Callable[[], object], rounds: int) -> Figure:
    """Verify so many times, and count after the first tenth."""
    for _ in range(rounds // 10):
        verify()
    begin_mib, began = resident_mib(), time.perf_counter()
    for _ in range(rounds - rounds // 10):
        verify()
    took = time.perf_counter() - began
    return Figure(what, (rounds - rounds // 10) / took, begin_mib, resident_mib())


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast as the peer: the median of blocks, and the extremes."""

    what: str
    median: float
    least: float
    most: float


def compared(what: str, ours: Callable[[], object], peers: Callable[[], object]) -> Ratio:
    """Verify in turn, block by block."""
    took: list[float] = []
    for _ in range(BLOCKS):
        times = []
        for verify in (ours, peers):
            began = time.perf_counter()
            for _ in range(BLOCK):
                verify()
            times.append(time.perf_counter() - began)
        took.append(times[1] / times[0])
    return Ratio(what, statistics.median(took), min(took), max(took))


def saml_figures(rounds: int, groups: tuple[str, ...]) -> tuple[list[Figure], list[Ratio]]:
    """Measure both forms of a SAML response."""
    now = time.time()
    own = new_key_pair("bench", now)
    base = "https://files.example/sso/entra"
    sp = ServiceProvider(f"{base}/metadata", f"{base}/acs", f"{base}/slo", own.private_key_pem, own.certificate_pem)
    signer = EntraSigner.fresh(sp, now, attributes={GROUPS: groups})
    verifier = SamlVerifier(signer.idp(), sp, replace(ENTRA_RULES, tenant=TENANT))
    plain = signer.response(REQUEST, now)
    encrypted = signer.response(REQUEST, now, encrypt_for=own.certificate_pem)
    by_peer = peer(signer.idp(), sp, REQUEST)
    forms = {"SAML": plain, "SAML, encrypted": encrypted}

    def ours(response: str) -> Callable[[], object]:
        return lambda: verifier.verify(response, request_id=REQUEST, now=now)

    figures = [measured(what, ours(response), rounds) for what, response in forms.items()]
    return figures, [compared(what, ours(response), partial(by_peer, response)) for what, response in forms.items()]


def oidc_figure(rounds: int, groups: tuple[str, ...]) -> Figure:
    """Measure an ID token; its keys are fetched once."""
    provider = Provider()
    try:
        client = OidcClient(
            issuer=provider.issuer,
            client_id=provider.client_id,
            client_secret=Secret(SECRET),
            private_key_pem=None,
            redirect_uri="https://files.example/sso/op/callback",
            post_logout_redirect_uri="https://files.example/signed-out",
        )
        keys = SigningKeys(f"{provider.issuer}/keys", client, Fetcher(allow_private_hosts=True), time.time)
        token = provider.token(provider.claims("nonce", groups=list(groups)))
        now = time.time()
        return measured(
            "ID token",
            lambda: verify_id_token(token, client=client, keys=keys, nonce="nonce", now=now),
            rounds,
        )
    finally:
        provider.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=150)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    groups = tuple(f"00000000-0000-4000-8000-{number:012}" for number in range(given.groups))
    figures, ratios = saml_figures(given.rounds, groups)
    figures.append(oidc_figure(given.rounds, groups))
    if given.json:
        print(json.dumps([asdict(one) for one in figures] + [asdict(one) for one in ratios]))
        return
    for one in figures:
        memory = f"{one.begin_mib:.1f} -> {one.end_mib:.1f} MiB ({one.growth:+.1%})"
        print(f"{one.what:<18}{one.per_s:>8.0f}/s   {memory}")
    for each in ratios:
        print(f"{each.what:<18}ours / python3-saml {each.median:.2f} ({each.least:.2f}-{each.most:.2f})")


if __name__ == "__main__":
    main()
