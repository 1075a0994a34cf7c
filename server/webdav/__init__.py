"""WebDAV under /dav/: WsgiDAV's request model over the workspace, behind our own ASGI endpoint."""
