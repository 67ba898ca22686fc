"""Recording: what happens in every layer of a network while it trains, at a cost that does not matter."""
