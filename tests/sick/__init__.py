"""Sick models: twins damaged in the ways that the checks are there to catch."""
