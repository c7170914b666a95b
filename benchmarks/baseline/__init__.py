"""What one federated round costs elsewhere: bare processes and Flower, on the same rows with the same study code."""
