"""Use cases of the exchange: subscribe, share, take back, acknowledge."""
