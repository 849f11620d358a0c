"""The artists that a person follows, watches or ignores, and the releases of these artists.

Followed artists are those of the owner's list on Spotify; others are watched or ignored by hand.
`list_reader.py` reads these lists and `list_store.py` stores them; `artist_list.py` shows them to
their owner, by the SQL of `overview_store.py`; `import_parser.py` finds artists in a file. Their
other SQL is in `storage/following.py`. `checker.py` checks them for new releases, in the order of
`rotation.py`; `search_way.py` searches for these where that works; both go by `plans.py`. May
import `storage`, `spotify`, `serving`, `database` and `catalog`; syncs know nothing of this
chapter.
"""
