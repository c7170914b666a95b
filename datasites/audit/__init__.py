"""The hospital's append-only Merkle log of what happened, and how others hold it to that history. See README.md."""
