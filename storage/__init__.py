"""What is kept: files and database. Knows no protocol and checks no credential."""
