"""What networks say of every image becomes verdicts on the labels."""
