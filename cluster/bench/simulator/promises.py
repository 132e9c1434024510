"""What is promised of large clusters, and whether the simulator found it kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.bench.claims import Claim, at_most

PLACED_WITHIN_S = 10.0
CLAIM_AT_MOST_MS = 1.0
GROWTH_AT_MOST = 2.0


def claims_of(found: Mapping[str, Any]) -> list[Claim]:
    """What is promised of large clusters, held against the figures of ``simulate``."""
    costs = list(found["claim_ms"].values())
    died = found["died"]
    num = f"{found['num_cameras']} cameras"
    return [
        at_most(
            f"{num} that are added at once have an owner within {PLACED_WITHIN_S:g} s",
            found["placed"]["placed_s"],
            PLACED_WITHIN_S,
        ),
        at_most(
            f"streams of {found['num_deaths']} slots that died have owners again within "
            f"{found['ttl_s']:g} s (lease.ttl_s)",
            died["longest_gap_s"],
            found["ttl_s"],
        ),
        at_most("streams of others that the deaths moved: none", died["others_moved"], 0),
        at_most(f"a claim takes at most {CLAIM_AT_MOST_MS:g} ms of the server", max(costs), 1.0),
        at_most(
            f"with 100 times the cameras a claim takes at most {GROWTH_AT_MOST:g} times as long",
            round(costs[-1] / costs[0], 2),
            GROWTH_AT_MOST,
        ),
        at_most(
            "streams that two slots had with valid leases: none",
            found["streams_with_two_owners"],
            0,
        ),
        at_most("streams without an owner at the end: none", found["unowned_at_the_end"], 0),
        at_most("streams that move while nothing happens: none", found["rest"]["streams_moved"], 0),
    ]
