"""What holds for every test: machines are shared, so hypothesis doesn't judge by the clock."""

from hypothesis import settings

settings.register_profile("openrtcc", deadline=None)
settings.load_profile("openrtcc")
