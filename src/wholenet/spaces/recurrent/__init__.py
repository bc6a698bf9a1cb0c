"""The recurrent space of DARTS: cells that read a text word by word."""
