"""Many runs out of one file: seeds and configurations, on this machine or on a cluster."""
