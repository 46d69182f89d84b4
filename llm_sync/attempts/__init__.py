"""``retry`` decides whether another attempt follows, ``rate_gate`` when it may be sent."""
