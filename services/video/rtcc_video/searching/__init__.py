"""Finding moments in recordings: motion from the coded pictures, things that a configured model saw, and the search over both."""
