"""A lean RTSP client for H.264 and H.265 inside one TCP connection; FFmpeg's does all else."""

from actors.ingest.rtsp.source import RtspSource, open_camera
from actors.ingest.rtsp.unfamiliar import UnfamiliarError, is_unfamiliar, remember

__all__ = ["RtspSource", "UnfamiliarError", "is_unfamiliar", "open_camera", "remember"]
