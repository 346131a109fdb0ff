"""A small checkpoint whose code comes with it, built for the tests."""
