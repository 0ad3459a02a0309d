"""Linux without an MMU, built from a Debian package and booted: for developers, not part of the ordinary tests."""
