"""The annotated folders of `wild` and `wild_small`, made from archives of faces."""
