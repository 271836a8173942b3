"""The advisor: which synthetic pairs help on held-out images, and what to label next."""
