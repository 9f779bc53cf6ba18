"""What makers of Power Platform import, generated from the operations that the scorer serves."""
