"""The charts and images of the platform: rendered, checked, built. For developers; a cluster needs none of it."""
