"""Positions: live index, last known, nearest."""
