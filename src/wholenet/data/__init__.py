"""Data sets, by name and in folders, masks and label maps, joint augmentation, splits."""
