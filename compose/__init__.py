"""A federation on one machine in containers: a store with TLS, three hospitals, a researcher. See README.md here."""
