"""The stand-in's covers and portraits, drawn as SVG from an image id.

Begin with `covers.py`.
"""
