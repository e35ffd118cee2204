"""Use cases of incidents: authorise, act; the gate audits."""
