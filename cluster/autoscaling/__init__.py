"""How many slots are wanted for the streams that are: a policy, and what Serve asks it by."""
