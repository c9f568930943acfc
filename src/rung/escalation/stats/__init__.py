"""What `rung stats` says of a period: counts with intervals, as tables, Markdown or a page."""
