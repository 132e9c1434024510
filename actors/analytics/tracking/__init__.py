"""Tracking: gives the detections of a stream identities that last from frame to frame."""

from actors.analytics.tracking.config import TrackerConfig
from actors.analytics.tracking.tracker import Birth, Tracker

__all__ = ["Birth", "Tracker", "TrackerConfig"]
