"""NAS-Bench-201's search space (Dong and Yang, ICLR 2020): one cell of four nodes, five operations on six edges."""
