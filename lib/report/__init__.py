"""From tables of supports to pages: statistics, figures, the paper's numbers, claims and verdicts, records."""
