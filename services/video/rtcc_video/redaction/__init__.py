"""Redacted copies of exports: what is asked, the process that makes the pictures, and the archive around them."""
