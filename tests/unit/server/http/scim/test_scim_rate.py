"""The limit of requests: a provider that keeps to the setting is never told to come again."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from config.sso import SsoMethod, SsoProvider
from server.http.scim.rate import Rate


@pytest.mark.parametrize("per_s", [50, 500])
def test_whoever_keeps_to_the_rate_is_never_refused(per_s: int) -> None:
    """An hour at exactly the rate, evenly or in bursts of a second's worth."""
    even, bursts = Rate(), Rate()

    assert all(even.admit("entra", per_s, number / per_s) for number in range(per_s * 60))
    assert all(bursts.admit("entra", per_s, float(second)) for second in range(600) for _ in range(per_s))


def test_whoever_sends_more_is_refused_the_rest() -> None:
    """Of ten seconds at four times the rate no more gets through than the rate and the burst allow."""
    rate = Rate()

    admitted = sum(rate.admit("entra", 50, number / 200) for number in range(2000))

    assert 50 * 10 <= admitted <= 50 * 10 + 2 * 50


def test_one_provider_does_not_use_up_anothers() -> None:
    """Each has its own bucket."""
    rate = Rate()
    while rate.admit("entra", 50, 0.0):
        pass

    assert rate.admit("okta", 50, 0.0)


def test_no_setting_goes_below_fifty() -> None:
    """Entra ID's gallery asks for 25 a second; below 50 nobody is ever refused."""
    with pytest.raises(ValidationError):
        SsoProvider(method=SsoMethod.SAML, max_requests_per_s=49)
