"""Measurements with evidence: what an agent says about tests never opens a gate, what the engine measured does."""
