"""What the process that runs libav tells: kind (1 byte), length (4, big-endian), body."""

import struct
from typing import Final

HEAD: Final = struct.Struct("!BI")
# before a unit's Annex B bytes: 90 kHz ticks
UNIT_HEAD: Final = struct.Struct("!q")
USAGE: Final = struct.Struct("!d")
# JSON: codec, transcoded, sound (its codec; empty: none, or none was asked for)
KIND_INFO: Final = 1
KIND_UNIT: Final = 2
# processor seconds used so far
KIND_USAGE: Final = 3
# JSON: reason, lasting
KIND_FAILED: Final = 4
# a packet of a data stream
KIND_DATA: Final = 5
# samples of 48 kHz (as `UNIT_HEAD`), and an Opus packet
KIND_SOUND: Final = 6
# processor seconds that sound has used so far
KIND_SOUND_USED: Final = 7
# to the process, after its first line: somebody hears the sound, nobody does any more
WANTED: Final = b"1"
UNWANTED: Final = b"0"
