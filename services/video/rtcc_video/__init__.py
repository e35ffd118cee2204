"""Relay: RTSP and files in, WHEP out, packets never decoded."""
