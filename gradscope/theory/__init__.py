"""Small exact models of gradient flow, in NumPy: fast enough to answer a slider. No torch, no store."""
