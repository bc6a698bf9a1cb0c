"""The space of Auto-DeepLab (Liu et al., CVPR 2019): a trellis of cells, of which a path is kept."""
