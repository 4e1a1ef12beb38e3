"""Which subscriptions should speak and do not, and what is done about it."""
