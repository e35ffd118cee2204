"""The data pipes: whatever sources send becomes events."""
