"""What documents are taken for is found anew: by the configured language model, else by the rules."""
