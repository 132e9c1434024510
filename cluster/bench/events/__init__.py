"""Are the events right? Worlds of known truth through detector, tracker and rules, and scored."""
