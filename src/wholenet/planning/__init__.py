"""A plan for a run: what is not given, chosen for the data, the machine and the time there is."""
