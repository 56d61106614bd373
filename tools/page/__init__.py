"""What the build of the browser page takes from the Python code."""
