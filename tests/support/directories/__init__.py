"""Directory servers for tests: a real OpenLDAP, a real Active Directory (Samba), and one that misbehaves."""
