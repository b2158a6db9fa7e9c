"""What the service keeps on this machine: directories, the copy of the blocks, files written whole."""
