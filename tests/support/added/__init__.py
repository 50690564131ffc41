"""What somebody adds to the package, each in one file: for tests of what else that takes."""
