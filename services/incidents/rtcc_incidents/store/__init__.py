"""Incidents, floor plans and tips in PostgreSQL: each change and its message leave in one transaction."""
