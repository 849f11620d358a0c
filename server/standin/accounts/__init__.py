"""The stand-in's accounts service: consent page, codes and tokens."""
