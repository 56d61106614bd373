"""Art of the bundled filters, drawn by code."""
