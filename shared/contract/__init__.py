"""What travels: readings and predictions, their bodies, bounds and columns."""
