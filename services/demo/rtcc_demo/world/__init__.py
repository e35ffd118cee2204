"""The invented city life on real streets: streets, agencies, cameras, vehicles, and the day's script. Pure: no network, no wall clock."""
