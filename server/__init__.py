"""Freshet: a local, fast copy of Spotify's new releases and the artists behind them."""

__version__ = "0.2.0"
