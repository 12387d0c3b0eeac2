"""Tables of any kind (CSV, TSV, JSON, Excel, Parquet, Arrow) as columns of text."""
