"""SAML 2.0 as a relying party (service provider), without HTTP: metadata, requests, responses and single logout."""
