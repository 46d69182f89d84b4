"""What others see of the requests, in tools of their own; loaded only where one is asked for."""
