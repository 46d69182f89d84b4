"""Below the dialects: HTTP over requests and urllib3, retries over tenacity. Nothing else imports these three."""
