"""The process of a service: settings, start and end, logs, metrics, tasks and failpoints."""
