"""Records of a run, and what follows from them. Imports no torch."""
