"""A whole study on one machine: hospitals and a researcher as separate processes over a folder."""
