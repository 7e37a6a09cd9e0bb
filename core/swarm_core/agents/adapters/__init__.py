"""Agents of every make behind one port: ours, those that speak ACP, programs that print JSON lines, and people."""
