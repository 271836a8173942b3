"""What a person runs on data: inspect, suggest, verify, export, presets."""
