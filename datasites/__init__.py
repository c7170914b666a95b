"""What a hospital runs: its datasite with tables, approvals, sandboxed runs and the release gate."""
