"""DOTS: decoupled operation and topology search on DARTS' space (Gu et al., CVPR 2021)."""
