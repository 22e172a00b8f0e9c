"""Where weights come from and go to: names and folders, file formats, translation, saving."""
