"""The steps of ``quaymaster provider test``: one file for each part of the way to a directory's answer."""
