"""Rectified pairs of images, and how far points stand apart in them."""
