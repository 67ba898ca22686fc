"""Switching over: runs from TensorBoard's event files into a store, and out of it as event files or tables."""
