"""Labelling: the model proposes points, a person corrects them in the browser.

The page is TypeScript in `web/src/label/`; its build is served here, with the pictures of one
folder, and writes to that folder's `points.csv`, `rounds.tsv` and, where it is made on the page,
`markup.toml` alone.
"""
