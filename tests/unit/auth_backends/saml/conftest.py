"""One service provider, one signer, one verifier; keys are made once, as RSA takes its time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pytest

from auth_backends.saml.parties import ENTRA_RULES, KeyPair, Rules, ServiceProvider, new_key_pair
from auth_backends.saml.verifier import SamlVerifier, VerifiedAssertion
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.saml_signer import TENANT, EntraSigner

REQUEST = "id-1"
RULES = replace(ENTRA_RULES, tenant=TENANT)


@dataclass(frozen=True)
class Bench:
    """What a test needs to make a response and to have it judged."""

    sp: ServiceProvider
    signer: EntraSigner
    stranger: EntraSigner
    now: float

    def verify(
        self,
        response: str,
        *,
        request_id: str | None = REQUEST,
        now: float | None = None,
        rules: Rules = RULES,
        more: tuple[KeyPair, ...] = (),
    ) -> VerifiedAssertion:
        """Judge a response by the signer's certificate and others."""
        verifier = SamlVerifier(self.signer.idp(*more), self.sp, rules)
        return verifier.verify(response, request_id=request_id, now=self.now if now is None else now)

    def reason(self, response: str, *, request_id: str | None = REQUEST, now: float | None = None) -> SsoReason:
        """Why a response is refused; a test that expects a refusal fails where there is none."""
        with pytest.raises(SsoRefused) as refused:
            self.verify(response, request_id=request_id, now=now)
        assert refused.value.checks[-1].passed is False
        assert all(check.passed for check in refused.value.checks[:-1])
        return refused.value.reason


@pytest.fixture(scope="session")
def bench() -> Bench:
    """Keys that last for the whole run."""
    now = time.time()
    own = new_key_pair("files.example", now)
    base = "https://files.example/sso/entra"
    sp = ServiceProvider(f"{base}/metadata", f"{base}/acs", f"{base}/slo", own.private_key_pem, own.certificate_pem)
    return Bench(sp, EntraSigner.fresh(sp, now), EntraSigner.fresh(sp, now), now)
