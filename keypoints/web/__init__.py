"""The server of the browser page.

The page itself is TypeScript in `web/`; its build writes the files to `keypoints/web/page/`.
"""
