"""Several relays: whose a camera is, and how its pictures get from one relay to the others."""
