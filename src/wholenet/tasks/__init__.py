"""Tasks: what turns a batch into a loss, and predictions into a score."""
