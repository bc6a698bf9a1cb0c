"""The trained network in use: model folders, scores on a data set, predictions for image files."""
