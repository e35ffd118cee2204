"""Everything on one machine: supervisor, embedded servers, command line."""
