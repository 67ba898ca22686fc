"""What the pages share: the store, the choice of runs, the live refresh, how a figure is shown."""
