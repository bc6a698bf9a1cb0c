"""Candidate operations and the layers that networks are made of. Nothing here knows of search."""
