"""Where workers run: on this machine, or as jobs of the hospital's own cluster."""
