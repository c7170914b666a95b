"""What confines a worker: everything that does is in this folder, one way of confining per file."""
