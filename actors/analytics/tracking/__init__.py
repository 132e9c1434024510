"""Tracking: gives the detections of a stream identities that last from frame to frame."""

from actors.analytics.tracking.config import TrackerConfig
from actors.analytics.tracking.kinds import CONFIGS, config_of, make_tracker
from actors.analytics.tracking.tracker import Birth, Tracker

__all__ = ["CONFIGS", "Birth", "Tracker", "TrackerConfig", "config_of", "make_tracker"]
