"""The laptop: composed objects become processes, files and tenants; one supervisor owns one state directory."""
