"""From a `Trace` to a ranked `Diagnosis`, and its text and JSON forms."""

from nntrace.diagnosis.diagnose import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
