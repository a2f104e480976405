from hypothesis import settings

# The same examples on every machine and in every run: a failure is never a matter of luck, and none is remembered.
settings.register_profile("gradlab", derandomize=True, database=None, deadline=None)
settings.load_profile("gradlab")

pytest_plugins = ["pytester"]
