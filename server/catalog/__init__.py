"""The local copy: stored, read back, made into payloads and kept ready to serve."""
