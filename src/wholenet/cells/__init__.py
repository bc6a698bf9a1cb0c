"""Runs on the cell spaces, for image classification: searches, and the training of what they found."""
