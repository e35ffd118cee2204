"""Rules, hot lists and the alert life cycle."""
