from hypothesis import HealthCheck, settings

# The same examples on every machine and in every run, however slow: a failure is never a matter of luck or of load.
settings.register_profile(
    "gradlab", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gradlab")

pytest_plugins = ["pytester"]
