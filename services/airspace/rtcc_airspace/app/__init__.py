"""Use cases of airspace: take in what receivers hear, watch the zones, say what is in the sky."""
