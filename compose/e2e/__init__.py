"""The composed federation, tried as a whole: `make e2e`."""
