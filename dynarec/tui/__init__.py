"""What the interfaces in a terminal have in common."""
