"""Data sets and their detection, masks and label maps, joint augmentation, splits, the built-in scenes."""
