"""The stages of `segment`: thin mains."""
