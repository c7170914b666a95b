"""What a hospital's own staff see of the agent from outside: numbers for Prometheus, log lines, drift of its tables."""
