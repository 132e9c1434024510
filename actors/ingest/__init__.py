"""Ingest: cameras and files in, decoded pictures in the engine's pool and tickets out."""
