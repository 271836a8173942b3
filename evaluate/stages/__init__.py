"""The stages of `evaluate`: thin mains."""
