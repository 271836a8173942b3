"""The stages of `synth`: thin mains."""
