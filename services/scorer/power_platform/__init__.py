"""The Power Platform connector and flow, generated from the operations that the scorer serves."""
