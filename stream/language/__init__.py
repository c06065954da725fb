"""From the text of a definitions file to its checked meaning, and from there to a plan of arrays."""
