"""Rules about what is in the sky: formats, what is believable, live tracks, zones. No I/O, no clock."""
