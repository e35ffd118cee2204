"""The relay engine: H.264 in, SRTP out. No service, no database, no authorisation; those stand one folder up."""
