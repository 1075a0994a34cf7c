"""The user store: users, groups, credentials, grants, sessions, locks and the audit trail."""
