"""Live pictures over HTTPS: low-latency HLS (RFC 8216bis) for networks that let no WebRTC through."""
