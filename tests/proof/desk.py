"""The agencies of the console's tests: nobody else's alerts, holds or rules stand on their screens."""

OWNER, PARTNER = "harbour", "hillside"
