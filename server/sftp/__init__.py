"""The SFTP front end: asyncssh in front of the workspace. asyncssh is imported here and nowhere else in the server."""
