"""The protocol without I/O: frames and requests in; events, frames to send and the next deadline out."""
