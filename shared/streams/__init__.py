"""Event Hubs as every service here reads and writes it: in sequence, nothing lost, doubles told apart."""
