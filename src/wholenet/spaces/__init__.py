"""Search spaces: each a table of what exists and the network that walks over it."""
