"""NVDEC through NVIDIA's own library, libnvcuvid, which costs less than the way through FFmpeg."""
