"""The protocol: phases, weight and architecture steps, the entropy penalty, checkpoints, the run folder."""
