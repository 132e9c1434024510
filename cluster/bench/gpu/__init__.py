"""One GPU: decoder alone, engine alone, and the whole path against the slower of the two."""
