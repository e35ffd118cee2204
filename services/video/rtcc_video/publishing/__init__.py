"""Pictures that come by themselves: WHIP publishers (RFC 9725)."""
