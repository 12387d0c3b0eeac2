"""From networks' predictions to verdicts on the labels."""
