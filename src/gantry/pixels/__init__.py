"""Pixel Data to frames to pictures: encapsulation, decoding, rendering. Pure: bytes in, bytes out."""
