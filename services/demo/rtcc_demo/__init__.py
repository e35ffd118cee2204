"""Feeders of the demo: a city of devices that speak only the public protocols."""
