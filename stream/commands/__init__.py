"""The commands of ``segstream``, one a file: each parses, calls the library, prints. ``stream/cli.py`` lists them."""
