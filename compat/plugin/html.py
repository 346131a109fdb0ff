"""Our columns in the raw log of pytest-html."""
