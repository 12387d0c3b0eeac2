"""From batches to predictions: losses, methods, networks, the one epoch loop."""
