"""The suite over every model of the registry, as anybody else would run it over theirs."""

from compat.suite import test_check

__all__ = ["test_check"]
