"""RTSP cameras that play a clip for ever: for the demo, the tests and the benchmarks."""

from cluster.demo.rtsp.camera import Camera, CameraCounters
from cluster.demo.rtsp.clip import Clip
from cluster.demo.rtsp.process import CameraProcess
from cluster.demo.rtsp.server import CameraServer
from cluster.demo.rtsp.threaded import RunningCameraServer
from cluster.demo.rtsp.transcode import playable_clip, transcode

__all__ = [
    "Camera",
    "CameraCounters",
    "CameraProcess",
    "CameraServer",
    "Clip",
    "RunningCameraServer",
    "playable_clip",
    "transcode",
]
