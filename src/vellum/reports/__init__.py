"""What is known, put so that people can see it: graphs, tables, pictures."""
