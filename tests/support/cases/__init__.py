"""What happened in made-up clusters, and the truth about it, for every server that tests ask."""
