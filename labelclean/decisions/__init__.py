"""What a person decided about the images of a report."""
