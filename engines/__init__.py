"""engines: a model on one device, from frames to detections. Imports neither ray nor redis."""
