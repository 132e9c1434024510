"""A slot: one device's worth of pipeline, as a Serve replica with its actors as children."""
