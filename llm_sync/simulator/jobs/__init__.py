"""Jobs of the providers, whatever their dialect: simulated time, files, and jobs whose requests are answered later."""
