"""Masks under the pointer: a WebSocket beside Streamlit's own."""
