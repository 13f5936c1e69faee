"""What all tests share: no example of a property is timed, since machines are shared."""

from hypothesis import settings

settings.register_profile("project", deadline=None)
settings.load_profile("project")
