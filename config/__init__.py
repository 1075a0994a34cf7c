"""What the operator may say; imports nothing of ours."""
