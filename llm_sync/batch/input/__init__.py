"""Reads the input of a batch: a source gives lines, a format reads them, a builder makes requests of them."""
