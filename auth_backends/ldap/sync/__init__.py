"""The sync: what a directory says of people and groups, brought into the user store."""
