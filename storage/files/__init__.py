"""One tree of files behind a blocking, thread-safe interface; see ``api.py`` and ``workspace.py``."""
