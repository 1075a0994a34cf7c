"""What identity providers send, as JSON: one sequence of requests for each kind of client."""
