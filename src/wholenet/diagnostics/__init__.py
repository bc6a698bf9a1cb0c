"""Questions asked of a search: what it decided, and what cutting its supernet would cost."""
