"""The engine in a made-up world under virtual time: one seed is one schedule, played again exactly.

What decides and records is the product's own code (policy, fold, runner, decisions, merging and recovery in ``Hands``);
git, models, checks, disk and the operator are simulated and fail as the seed says. See ``schedule``.
"""
