"""Where Open Drone ID stands in what a radio hears (ASTM F3411-22a sections 5.4.6 to 5.4.9): Bluetooth, Wi-Fi beacons, Wi-Fi NAN.

Each reader takes what a receiver heard at that layer and gives the message pack (or single message) in it.
"""

from collections.abc import Callable

from rtcc_airspace.domain.messages import DamagedMessage

VENDOR_ELEMENT = 0xDD
OUI_ASD_STAN = b"\xfa\x0b\xbc"
VENDOR_TYPE = 0x0D
SERVICE_UUID = b"\xfa\xff"  # 0xFFFA, little-endian
APPLICATION_CODE = 0x0D
# Wi-Fi Alliance OUI and the type of NAN service discovery frames (Wi-Fi Aware specification)
_NAN_ACTION = b"\x04\x09\x50\x6f\x9a\x13"
# the first six bytes of SHA-256 of "org.opendroneid.remoteid"
_NAN_SERVICE_ID = b"\x88\x69\x19\x9d\x92\x09"
_NAN_DESCRIPTOR = 0x03
_NAN_EXTENSION = 0x0E
_NAN_MATCHING_FILTER, _NAN_RESPONSE_FILTER, _NAN_INFORMATION, _NAN_BINDING = 0x04, 0x08, 0x10, 0x40
_AD_SERVICE_DATA = 0x16
_BEACON, _ACTION = 0x80, 0xD0
_MANAGEMENT_HEAD_BYTES = 24
_BEACON_FIXED_BYTES = 12
_ELEMENT_BYTES_MOST = 255


def read_bluetooth(data: bytes) -> bytes:
    """Advertising data (Core Specification Supplement part A): the AD structure "service data" of 0xFFFA. Legacy and extended alike."""
    at = 0
    while at + 1 < len(data):
        length = data[at]
        body = data[at + 1 : at + 1 + length]
        if length == 0:
            break
        if len(body) < length:
            raise DamagedMessage(f"advertising data is cut off at byte {at}")
        # type, uuid, application code, message counter
        if length >= 6 and body[0] == _AD_SERVICE_DATA and body[1:3] == SERVICE_UUID and body[3] == APPLICATION_CODE:
            return body[5:]
        at += 1 + length
    raise DamagedMessage("advertising data without service data 0xFFFA/0x0D")


def write_bluetooth(pack: bytes, counter: int) -> bytes:
    """The AD structure; at most 249 bytes of pack fit into extended advertising."""
    body = bytes((_AD_SERVICE_DATA,)) + SERVICE_UUID + bytes((APPLICATION_CODE, counter & 0xFF)) + pack
    if len(body) > _ELEMENT_BYTES_MOST:
        raise ValueError(f"{len(pack)} bytes don't fit into one advertisement")
    return bytes((len(body),)) + body


def read_beacon(data: bytes) -> bytes:
    """A beacon frame (IEEE 802.11-2020, 9.3.3.2) from its frame control on, or just its elements."""
    start = _MANAGEMENT_HEAD_BYTES + _BEACON_FIXED_BYTES if data[:1] == bytes((_BEACON,)) else 0
    return read_elements(data, start)


def read_elements(data: bytes, at: int = 0) -> bytes:
    """Information elements: the vendor specific one of ASD-STAN, type 0x0D."""
    while at + 2 <= len(data):
        length = data[at + 1]
        end = at + 2 + length
        if data[at] == VENDOR_ELEMENT and data[at + 2 : at + 5] == OUI_ASD_STAN and data[at + 5 : at + 6] == bytes((VENDOR_TYPE,)):
            if end > len(data):
                raise DamagedMessage("the Remote ID element is cut off")
            return data[at + 7 : end]
        at = end
    raise DamagedMessage("elements without the vendor element FA-0B-BC/0D")


def write_element(pack: bytes, counter: int) -> bytes:
    """The vendor specific element."""
    body = OUI_ASD_STAN + bytes((VENDOR_TYPE, counter & 0xFF)) + pack
    return bytes((VENDOR_ELEMENT, len(body))) + body


def write_beacon(pack: bytes, counter: int, mac: bytes, ssid: bytes) -> bytes:
    """A whole beacon frame without FCS: broadcast, 100 time units apart."""
    head = bytes((_BEACON, 0, 0, 0)) + b"\xff" * 6 + mac + mac + b"\0\0"
    fixed = bytes(8) + (100).to_bytes(2, "little") + b"\x20\x04"
    return head + fixed + bytes((0, len(ssid))) + ssid + b"\x01\x01\x8c" + write_element(pack, counter)


def read_nan(data: bytes) -> bytes:
    """A NAN service discovery frame: from its frame control on, or from its action field on."""
    body = data[_MANAGEMENT_HEAD_BYTES:] if data[:1] == bytes((_ACTION,)) else data
    if body[: len(_NAN_ACTION)] != _NAN_ACTION:
        raise DamagedMessage("no NAN service discovery frame")
    at = len(_NAN_ACTION)
    while at + 3 <= len(body):
        length = int.from_bytes(body[at + 1 : at + 3], "little")
        attribute = body[at + 3 : at + 3 + length]
        if body[at] == _NAN_DESCRIPTOR and attribute[:6] == _NAN_SERVICE_ID:
            if len(attribute) < length:
                raise DamagedMessage("the Remote ID service descriptor is cut off")
            return _service_information(attribute)
        at += 3 + length
    raise DamagedMessage("a NAN frame without the service org.opendroneid.remoteid")


def _service_information(attribute: bytes) -> bytes:
    """Wi-Fi Aware, service descriptor attribute: id, instance, requestor, control, optional filters, then the information."""
    if len(attribute) < 9:
        raise DamagedMessage("the Remote ID service descriptor is cut off")
    control = attribute[8]
    at = 11 if control & _NAN_BINDING else 9
    for bit in (_NAN_MATCHING_FILTER, _NAN_RESPONSE_FILTER):
        if control & bit:
            at += 1 + (attribute[at] if at < len(attribute) else 0)
    if not control & _NAN_INFORMATION or at >= len(attribute):
        raise DamagedMessage("the Remote ID service descriptor holds no information")
    length = attribute[at]
    information = attribute[at + 1 : at + 1 + length]
    if len(information) < length or length < 2:
        raise DamagedMessage("the Remote ID service information is cut off")
    # the first byte is the message counter
    return information[1:]


def write_nan(pack: bytes, counter: int, mac: bytes) -> bytes:
    """A NAN service discovery frame without FCS, to the NAN multicast address."""
    information = bytes((counter & 0xFF,)) + pack
    descriptor = _NAN_SERVICE_ID + bytes((1, 0, _NAN_INFORMATION, len(information))) + information
    attribute = bytes((_NAN_DESCRIPTOR,)) + len(descriptor).to_bytes(2, "little") + descriptor
    head = bytes((_ACTION, 0, 0, 0)) + b"\x51\x6f\x9a\x01\x00\x00" + mac + b"\x50\x6f\x9a\x01\x00\xff" + b"\0\0"
    extension = bytes((_NAN_EXTENSION, 4, 0, 1, 0, 2, counter & 0xFF))
    return head + _NAN_ACTION + attribute + extension


# what a receiver may say that it heard
READERS: dict[str, Callable[[bytes], bytes]] = {
    "bluetooth": read_bluetooth,
    "wifi_beacon": read_beacon,
    "wifi_nan": read_nan,
}
