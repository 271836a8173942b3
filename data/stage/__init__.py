"""What every stage uses: command line, parameters, errors, outputs, progress."""
