"""Use cases: whose record, may they, change it in one transaction, name it for the audit entry."""
