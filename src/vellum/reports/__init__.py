"""Reports for people: tables, graphs and pictures of the stored state."""
