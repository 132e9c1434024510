"""Trackers on the sequences of MOT Challenge, beside those that others wrote."""
