"""The HTTPS port: one ASGI application that carries WebDAV, health and what later joins them."""
