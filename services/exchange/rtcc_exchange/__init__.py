"""What crosses an agency's border: subscriptions and camera views."""
