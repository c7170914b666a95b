"""What may leave a hospital: rules, privacy arithmetic and errors. Pure: no network, no Syft."""
