"""Calls for service become incidents: units, timeline, floor plans, tips, outcome."""
