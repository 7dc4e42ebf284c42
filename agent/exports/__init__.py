"""Turns in other tools' formats: Chrome trace JSON, OpenTelemetry, Prometheus."""
