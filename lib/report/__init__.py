"""From tables of supports to pages: statistics, figures, the paper's numbers, claims and verdicts, records."""

from lib.report.page import Page

__all__ = ["Page", "claims", "committed", "execution", "explorer", "page", "paper", "plan", "plots"]
__all__ += ["stats"]
