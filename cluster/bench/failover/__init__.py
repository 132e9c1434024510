"""What dies is replaced: each kind of failure in turn, and what it did to the streams."""
