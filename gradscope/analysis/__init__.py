"""From tables to numbers and words: pure functions, no store, no torch, no Streamlit."""
