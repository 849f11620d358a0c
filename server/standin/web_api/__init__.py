"""The stand-in's Web API: browse, search, artists, `/me`, paging."""
