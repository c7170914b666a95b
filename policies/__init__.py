"""What may leave a hospital: policies, their rules, review of code, and errors. Pure: no network, no Syft."""
