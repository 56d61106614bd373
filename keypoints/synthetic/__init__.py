"""Synthetic faces: drawn from formulas, free of rights, with exact landmarks."""
