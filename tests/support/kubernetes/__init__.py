"""A stand-in for a Kubernetes API server: no cluster was ever reached from here."""
