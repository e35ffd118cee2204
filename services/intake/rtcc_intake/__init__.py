"""The data pipes: signed webhooks become events."""
