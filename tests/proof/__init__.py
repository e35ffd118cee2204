"""What the proofs across services share: a running platform, a world of agencies in it, a watch on the audit log."""
