"""The annotated folders of the next `wild` and `wild_small`, made from archives of faces."""
