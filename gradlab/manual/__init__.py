"""Networks written out by hand: forward and backward, NumPy alone, in any arithmetic."""
