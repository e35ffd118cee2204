"""The one HTTP door: sign-in, REST, WebSocket, WHEP and the console."""
