"""What tests share: a person at a browser without a screen, fake exporters, known histories."""
