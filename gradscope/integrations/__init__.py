"""Recording within a trainer of somebody else's: one file for each library, imported only when it is asked for."""
