"""Persons, vehicles, warrants, arrests and prior calls: who is this, and what should the officer know."""
