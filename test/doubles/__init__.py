"""Doubles of what stands on both sides of the manager: a call of the kubelet's, and a runtime."""
