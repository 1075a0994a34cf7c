"""Measurements against the named peers, interleaved in one run and given as ratios."""
