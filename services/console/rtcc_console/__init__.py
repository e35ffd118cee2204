"""The built web console."""
