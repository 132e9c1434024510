"""The configuration of a Sightline: what may be written, and reading it from a file."""
