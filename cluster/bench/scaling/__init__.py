"""Slots that follow the number of cameras: how soon, and what the streams have of it."""
