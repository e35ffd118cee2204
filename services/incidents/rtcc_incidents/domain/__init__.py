"""Pure rules of incidents: no I/O, no clock; time and ids are arguments."""
