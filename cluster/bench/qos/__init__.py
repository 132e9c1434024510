"""The comparison of batching policies: the same arrivals and engine costs, on a virtual clock."""
