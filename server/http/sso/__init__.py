"""The addresses at which identity providers and browsers meet us: start, answer, metadata and sign-out."""
