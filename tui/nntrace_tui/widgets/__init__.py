"""The widgets of the monitor's screens. Each shows one part of a `Snapshot` and nothing else."""
