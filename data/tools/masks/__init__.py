"""What a folder of masks holds, for `--suggest`."""
