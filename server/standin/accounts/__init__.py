"""The stand-in's accounts service: the consent page, authorisation codes and tokens.

Begin with `handlers.py`.
"""
