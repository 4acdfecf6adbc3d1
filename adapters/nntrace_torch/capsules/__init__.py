"""Steps that are kept on disk, to be played again."""
