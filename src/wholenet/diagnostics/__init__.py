"""Questions asked of a search."""
