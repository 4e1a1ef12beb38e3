"""The only place on the feed path that opens sockets: WebSocket transport, dialling, backoff, and the pump."""
