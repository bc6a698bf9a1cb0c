"""The seed paper's tables and figures, one file each: the paper's number beside ours."""
