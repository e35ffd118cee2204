"""Agencies, people, roles, cameras, zones and sharing agreements."""
