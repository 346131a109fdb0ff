"""Where a checkpoint folder comes from: a twin taught here, the hub's cache, or a given folder."""
