"""The console's live socket: what happens, filtered by rights and viewport, each thing once."""
