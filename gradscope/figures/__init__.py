"""From tables to pictures: pure functions that return Altair charts; no store, no Streamlit."""
