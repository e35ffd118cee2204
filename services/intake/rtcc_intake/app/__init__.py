"""Use cases of intake: deliveries in, the connector kit, feeds that are fetched, certificates of sources."""
