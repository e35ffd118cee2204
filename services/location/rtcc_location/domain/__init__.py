"""Rules about fixes and places: what a believable fix is, the live state in arrays, who is nearest. No I/O, no clock."""
