"""Synthetic faces: drawn by code, free of third-party rights, with exact landmarks."""
