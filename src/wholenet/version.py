"""The version of wholenet, which runs and pages record."""

VERSION = "0.1.0"
