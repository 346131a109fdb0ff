"""Nothing here: the suite is a plugin. pytest-xdist's workers and pytester need no more."""

pytest_plugins = ["pytester"]
