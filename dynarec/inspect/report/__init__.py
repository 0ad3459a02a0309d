"""A recording as one self-contained page for a browser.

The page draws itself: `assets` holds its template, style and script, `contents` and `listings` say what it knows, and
`page` puts them together. At most some megabytes: what is left out is told in the page.
"""

from dynarec.inspect.report.page import write

__all__ = ["write"]
