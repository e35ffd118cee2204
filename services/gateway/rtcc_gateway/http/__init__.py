"""The HTTP door: sign-in, REST from the contracts, devices, WHEP and the console's assets."""
