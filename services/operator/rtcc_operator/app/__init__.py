"""Use cases: bring the registry, the bus and the object store to what a resource declares."""
