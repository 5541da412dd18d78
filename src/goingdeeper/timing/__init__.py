"""How fast a network answers, beside others, measured so that the figures can be trusted."""
