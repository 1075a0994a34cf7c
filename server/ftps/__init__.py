"""FTPS: FTP over TLS, explicit (AUTH TLS) and implicit, on pyftpdlib 2.2 and pyOpenSSL.

How it is built, and why:

* ``worker`` accepts; ``connection`` gives every control connection a thread and an event loop of its
  own, so that a slow sign-in or a slow disk holds up nobody else. ``loop`` is that event loop.
* ``handler`` is the control channel; what the commands do is in the ``commands_*`` mixins.
* ``data_channel`` moves the bytes between the TLS data connection and the ends in ``transfers``.
* ``filesystem`` is the only way from pyftpdlib to files: every method of its ``AbstractedFS`` is
  overridden and goes to the session's Workspace.

TYPE A and TYPE I both carry the bytes as they are: line ends are never rewritten, so a client that
forgets TYPE I corrupts nothing, and SIZE and REST hold in both types.
"""
