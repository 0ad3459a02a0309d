"""The translations of earlier runs: kept in files of the user's own, and used again where they still hold."""
