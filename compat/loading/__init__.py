"""From a target to a loaded model and back to free memory: requirements, load, release."""
