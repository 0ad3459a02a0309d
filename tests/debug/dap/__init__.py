"""The Debug Adapter Protocol, spoken by a client that follows a script."""
