"""What every OpenRTCC service needs and no domain word."""
