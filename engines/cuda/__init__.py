"""The GPU beneath the engines: its context, the device pool, and kernels compiled where they run.

Needs the extra ``gpu``. Importing these modules does not need it; opening a device does.
"""
