"""The front ends and the processes that run them."""
