"""Cameras that speak ONVIF: found, asked what they have, moved."""
