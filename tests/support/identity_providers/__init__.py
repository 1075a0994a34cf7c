"""Identity providers as people use them: SimpleSAMLphp, oidc-provider, and a mock that signs whatever it is told."""
