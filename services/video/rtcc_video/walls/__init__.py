"""Named arrangements of cameras on one screen."""
