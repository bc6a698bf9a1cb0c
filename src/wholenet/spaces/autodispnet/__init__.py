"""AutoDispNet: disparity from two images, by cells that keep, halve or double the resolution."""
