"""``quaymaster user migrate``: people of a directory become people of an identity provider."""
