"""actors: the processes of one slot. Only */actor.py imports ray; never imports cluster."""
