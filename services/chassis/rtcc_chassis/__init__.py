"""What every service needs and no domain word: settings, scope, transport, storage, access, telemetry."""
