"""Enhanced multi-frame objects taken apart, and made of single-frame ones (PS3.3 A.36, A.38, A.70)."""
