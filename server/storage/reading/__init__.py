"""Reading everything kept, page by page, by key and never by offset.

Begin with `pages.py`, which reads a page; `orders.py` walks the indexes, `filters.py` selects,
`artists.py` makes pages of artists. `former.py` keeps what a release was before it changed, so that
a reading shows each release where it was at its start; `derived.py` fills the columns that all this
needs. The rest of the chapter is one folder up.
"""
