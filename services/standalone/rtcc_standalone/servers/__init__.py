"""The servers we run on: each knows its files, its command line, and when it is ready."""
