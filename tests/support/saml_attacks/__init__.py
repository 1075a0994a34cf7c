"""Hostile SAML responses by the numbers of the attack list, for the verifier and for the real endpoint."""
