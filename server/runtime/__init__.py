"""The processes that run the front ends: supervisor, workers, sockets, bridge, health."""
