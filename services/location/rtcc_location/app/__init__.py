"""Use cases of the location service: take fixes in, say where everybody is."""
