"""What people do with records: authorise, act; the gate audits before the answer leaves."""
