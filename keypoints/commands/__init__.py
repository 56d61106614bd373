"""Commands: one function per command. Parse, call the library, print; no algorithms."""
