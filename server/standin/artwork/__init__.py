"""The stand-in's covers, drawn as SVG from an image id."""
