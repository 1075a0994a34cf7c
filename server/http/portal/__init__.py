"""The web portal: sign-in and the account page. Pages are HTML without scripts."""
