"""What clients send in bodies: whole documents, PATCH operations, the members of groups."""
