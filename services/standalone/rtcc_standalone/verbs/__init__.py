"""What `./rtcc VERB` does, one module a topic. Each function takes the parsed options and answers the exit code."""
