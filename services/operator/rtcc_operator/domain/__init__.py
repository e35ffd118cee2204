"""Pure rules: what resources say, what follows for accounts and agreements, conditions, back-off."""
