"""Reading a batch's input: any source, any format, each line made into a request."""
