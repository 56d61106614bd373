"""Hooks of MkDocs: links in notebooks lead to pages of the site, as those in Markdown do."""

import re


def on_page_content(html: str, page, **_) -> str:
    """The page's HTML; the plugin for notebooks leaves their links to .md files as they are."""
    if page.file.src_uri.endswith(".ipynb"):
        return re.sub(r'(href="[\w./-]+)\.md(["#])', r"\1.html\2", html)
    return html
