"""Builds the demo's map and street graph from an OpenStreetMap extract. A developer's tool: a running demo reads only its results."""
