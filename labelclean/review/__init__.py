"""What a person does with a report: decisions, and what follows from them."""
