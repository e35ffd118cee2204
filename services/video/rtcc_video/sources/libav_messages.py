"""What the process that runs libav tells: kind (1 byte), length (4, big-endian), body."""

import struct
from typing import Final

HEAD: Final = struct.Struct("!BI")
# before a unit's Annex B bytes: 90 kHz ticks
UNIT_HEAD: Final = struct.Struct("!q")
USAGE: Final = struct.Struct("!d")
# JSON: codec, transcoded
KIND_INFO: Final = 1
KIND_UNIT: Final = 2
# processor seconds used so far
KIND_USAGE: Final = 3
# JSON: reason, lasting
KIND_FAILED: Final = 4
# a packet of a data stream
KIND_DATA: Final = 5
