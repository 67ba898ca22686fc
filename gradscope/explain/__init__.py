"""Which pixels a network's answer comes from: one file an attribution method, and how far its maps can be trusted."""
