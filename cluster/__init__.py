"""cluster: what runs where, and how people reach it. May import actors and engines."""
