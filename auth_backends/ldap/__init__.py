"""LDAP directories as the authority for passwords, and as a source of users."""
