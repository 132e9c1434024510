"""Thousands of cameras on a hundred slots: the real registry, leases and placement, no pictures."""
