"""The record of what the fleet sent, and recovery from it after a crash."""
