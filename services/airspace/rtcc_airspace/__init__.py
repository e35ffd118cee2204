"""Drones and aircraft: tracks, pilots, zones in the air and our own drones."""
