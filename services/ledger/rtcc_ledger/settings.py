"""Settings of the ledger."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """RTCC_LEDGER_*."""

    # Ed25519 private key (PEM) that signs checkpoints; unset: derived from the service's token key
    checkpoint_key_file: Path | None = None
    # the key's name and the first part of every log's origin; no spaces, no "+"
    origin: str = "openrtcc"
    # base64 of the 32-byte public keys of before a change of the key: old checkpoints are still believed
    former_public_keys: tuple[str, ...] = ()
    # entries taken in one transaction
    batch_entries: int = 200
