"""The jormungandr process: started, kept, asked and stopped."""
