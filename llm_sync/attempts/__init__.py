"""May the next attempt go? ``retry`` decides whether another attempt follows, ``rate_gate`` when it may be sent."""
