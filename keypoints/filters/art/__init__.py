"""Art of the bundled filters, drawn from formulas."""
