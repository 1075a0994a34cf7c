"""Configurations to start from; every one is loaded by the tests."""
