"""Command-line tools, one python-fire command per file: parse, call the library, print."""
