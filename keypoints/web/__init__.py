"""The browser page: what its build takes from the Python code, and the server of the built files.

The page itself is TypeScript in `web/`; its build writes the files to `keypoints/web/page/`.
"""
