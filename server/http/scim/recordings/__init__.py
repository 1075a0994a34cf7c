"""Recorded-style sequences of requests, and how one is played against a server."""
