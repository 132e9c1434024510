"""When an actor's process looks for garbage: seldom, as each look holds up all frames meanwhile.

What a frame leaves behind goes when nobody refers to it any more; only cycles need to be looked
for, and frames make next to none. Python's defaults look through all objects of the process again
and again: 75 to 125 ms at a time where 70 streams are tracked, and a tenth of its processor time.
"""

from __future__ import annotations

import gc

_THRESHOLDS = 20_000, 20, 50
"""New objects until the young ones are looked through, such looks until the older ones are, too,
and those until all are."""


def collect_seldom() -> None:
    """Leave all that is there now out of every look, and look seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
