"""A datasite's home in one sealed file, and back."""
