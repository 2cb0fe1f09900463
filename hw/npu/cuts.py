"""Latency of components that have register cuts."""


def latency(component, pipeline) -> int:
    """Cycles from what enters to what leaves: the component's ``LATENCY``, and with ``pipeline`` its ``CUTS`` besides."""
    return component.LATENCY + (component.CUTS if pipeline else 0)
