"""Analytics: from the detections of a stream's frames to events about its objects."""
