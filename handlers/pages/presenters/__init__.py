"""View models of the pages: cards, the grid of releases, the bar chart, dates in words. Pure."""
