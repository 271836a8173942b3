"""From scores to the report: numbers, tables, figures, words."""
