"""Inference: the batch scheduler (pure), the loop that runs it, and the actor around both."""
