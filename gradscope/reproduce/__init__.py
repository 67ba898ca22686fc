"""Running the experiments of a paper again, as a group of runs in the store.

To add a paper: a file here with its `PAPER`, and its line in `papers.py`. No torch: the dashboard reads all of it.
"""
