"""A report in the files of other tools, and the labels that a person set there."""
