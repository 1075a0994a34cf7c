"""OpenID Connect as a relying party, without HTTP: discovery, keys, the code flow, ID tokens and logout."""
