"""What people do to objects: look at them, make them, convert them."""
