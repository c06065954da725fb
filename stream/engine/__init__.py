"""The engine: a plan of arrays, one row a customer, a compiled kernel, and one partition around them."""
