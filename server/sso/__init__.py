"""Signing in by an identity provider, without HTTP: from a button on a page to a session, and out again."""
