"""What every service process needs: settings, start and end, logs, metrics, tasks and failpoints."""
