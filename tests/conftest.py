"""For all tests."""

from hypothesis import settings

# Properties are checked, not speed: a busy machine would fail at random.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
