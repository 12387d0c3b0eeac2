"""From what the user has (folders, tables, archives) to batches of tensors."""
